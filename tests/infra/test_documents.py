"""The page about Azure says what the code says."""

from __future__ import annotations

import re

from infra import azure_tables, policies
from infra.declared import REPOSITORY

from ehr_infra.config import Settings
from ehr_sandbox.pulumi_provider.resource_ids import resource_id
from ehr_sandbox.pulumi_provider.world import Recorded


def test_the_tables_of_the_page_are_those_of_the_code(production: dict[str, Recorded]) -> None:
    assert azure_tables.PAGE.read_text(encoding="utf-8") == azure_tables.page_of(production)


def test_every_key_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_alert_has_its_line_on_the_page(production: dict[str, Recorded]) -> None:
    page = azure_tables.PAGE.read_text(encoding="utf-8")
    kinds = ("monitor:MetricAlert", "monitor:ScheduledQueryRule", "monitor:ActivityLogAlert")
    alerts = [name for kind in kinds for name, _ in policies.of(production, kind)]

    assert len(alerts) >= 8
    assert [name for name in alerts if f"| `{name}` |" not in page] == []


def test_every_resource_provider_is_registered_before(production: dict[str, Recorded]) -> None:
    """A new subscription knows few of them, and says so in the middle of an `up`."""
    page = azure_tables.PAGE.read_text(encoding="utf-8")
    [listed] = re.findall(r"for name in ([A-Za-z\s\\]+); do\s+az provider register", page)
    used = {
        provider
        for found in production.values()
        for provider in re.findall(r"/providers/Microsoft[.](\w+)/", resource_id(found.token, found.inputs))
    }

    assert used - set(listed.split()) == {"Authorization"}, "always registered"


def test_every_test_that_the_security_model_names_is_there() -> None:
    page = (REPOSITORY / "docs/explanation/security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[^`]+)`", page)

    assert len(named) > 20
    assert [path for path in named if not (REPOSITORY / path).exists()] == []
