"""The page about Azure says what the code says."""

from __future__ import annotations

from infra import azure_tables

from ehr_infra.config import Settings
from ehr_sandbox.pulumi_provider.world import Recorded


def test_the_tables_of_the_page_are_those_of_the_code(production: dict[str, Recorded]) -> None:
    assert azure_tables.PAGE.read_text(encoding="utf-8") == azure_tables.page_of(production)


def test_every_key_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
