"""The folders of the repository are folders, not packages."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("folder", ["api", "clients", "programs", "operator", "connector", "infra", "sandbox"])
def test_a_top_level_folder_is_no_package(folder: str) -> None:
    """`operator/__init__.py` would hide Python's own `operator`; the others would offer a second import path."""
    assert not (REPOSITORY / folder / "__init__.py").exists()


def test_operator_is_pythons_own_module_and_ehr_operator_ours() -> None:
    standard, ours = importlib.import_module("operator"), importlib.import_module("ehr_operator")

    assert not Path(str(standard.__file__)).is_relative_to(REPOSITORY / "operator")
    assert Path(str(ours.__file__)).is_relative_to(REPOSITORY / "operator")
