"""The kustomize component puts the health script into an Argo CD's own ConfigMap, beside what stands there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

from ehr_api.crd import KINDS
from ehr_sandbox.control_plane.assets import Assets

COMPONENT = Path(__file__).resolve().parents[3] / "deploy" / "gitops" / "argocd"


def test_the_script_is_merged_into_argocd_cm_for_every_kind(assets: Assets, tmp_path: Path) -> None:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm"},
        "data": {"url": "https://cd"},
    }
    (tmp_path / "argocd-cm.yaml").write_text(yaml.safe_dump(config_map))
    kustomization = {
        "namespace": "argocd",
        "resources": ["argocd-cm.yaml"],
        "components": [os.path.relpath(COMPONENT, tmp_path.resolve())],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    built = subprocess.run([assets.kubectl, "kustomize", tmp_path], check=True, capture_output=True, text=True)

    script = (COMPONENT / "health.lua").read_text(encoding="utf-8")
    assert yaml.safe_load(built.stdout)["data"] == {
        "url": "https://cd",
        **{f"resource.customizations.health.ehrconnector.io_{resource.kind}": script for resource in KINDS},
    }
