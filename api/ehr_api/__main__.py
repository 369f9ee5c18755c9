"""Write the CRDs and admission policies: `python -m ehr_api crds`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from ehr_api.admission import admission_policies
from ehr_api.crd import KINDS, crd_of

_HEADER = "# Generated from api/ by `make crds`; do not edit.\n"


def generated_files() -> dict[str, str]:
    """Return name and content of every file of the folder `crds`."""
    files = {f"{resource.plural}.yaml": _document(crd_of(resource)) for resource in KINDS}
    files["admission-policies.yaml"] = "---\n".join(_document(policy) for policy in admission_policies())
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    files["kustomization.yaml"] = _document(kustomization)
    return {name: _HEADER + content for name, content in files.items()}


class _Dumper(yaml.SafeDumper):
    """Writes every list out: anchors and aliases are hard to review."""

    def ignore_aliases(self, data: object) -> bool:
        """Write nothing as a reference."""
        return True


def _document(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def main() -> None:
    """Write the generated files into a folder."""
    parser = argparse.ArgumentParser(prog="python -m ehr_api", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to write to, created if it does not exist")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in generated_files().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
