"""What an overlay renders to, as documents that a test can ask."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOY = REPOSITORY / "deploy"
_VARIABLE = re.compile(r"[$][{](\w+)[}]")

Document = dict[str, Any]


def render(kubectl: str, folder: Path, values: Mapping[str, str] | None = None) -> list[Document]:
    """Build a kustomization; with `values`, put them in place of each ${NAME} as Flux does."""
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = _VARIABLE.sub(lambda match: values[match[1]], done.stdout) if values is not None else done.stdout
    return list(yaml.safe_load_all(text))


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    """Return the objects of one kind by name."""
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def templates(documents: list[Document]) -> dict[str, Document]:
    """Return the pod templates by the name of their Deployment."""
    return {name: document["spec"]["template"] for name, document in of_kind(documents, "Deployment").items()}


def containers(template: Document) -> Iterator[Document]:
    """Yield the containers of a pod."""
    yield from template["spec"].get("initContainers", [])
    yield from template["spec"]["containers"]


def variables(documents: list[Document], container: Document) -> dict[str, str | None]:
    """Return the environment of a container; what comes from a Secret is None."""
    settings: dict[str, str | None] = {}
    for source in container.get("envFrom", []):
        settings |= of_kind(documents, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    return settings | {variable["name"]: variable.get("value") for variable in container.get("env", [])}


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether equality-based labels select."""
    return selector.items() <= labels.items()
