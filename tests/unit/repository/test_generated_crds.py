"""What GitOps applies is what the models say."""

from __future__ import annotations

from pathlib import Path

import yaml

from ehr_api.__main__ import generated_files

CRDS = Path(__file__).resolve().parents[3] / "crds"


def test_the_checked_in_folder_holds_the_generated_files_and_no_other() -> None:
    """`make crds` mends a difference."""
    checked_in = {path.name: path.read_text(encoding="utf-8") for path in CRDS.iterdir()}

    assert checked_in == generated_files()


def test_the_kustomization_names_every_other_file() -> None:
    kustomization = yaml.safe_load((CRDS / "kustomization.yaml").read_text(encoding="utf-8"))

    assert set(kustomization["resources"]) == {path.name for path in CRDS.iterdir()} - {"kustomization.yaml"}
