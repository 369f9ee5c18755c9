"""Where the desired objects come from: YAML files, or a kustomization built by kubectl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ehr_operator.plan_command.desired import Document

_SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZE_LIMIT_S = 120


class SourceError(Exception):
    """The input cannot be read; the message lists why, a line for each reason."""


def read_files(path: Path) -> list[Document]:
    """Return every document of a file, or of all YAML and JSON files below a folder.

    Raises:
        SourceError: There is no file, or files are no YAML.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder")
    files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise SourceError(f"{path}: holds no file that ends in {', '.join(_SUFFIXES)}")
    documents: list[Document] = []
    problems: list[str] = []
    for file in files:
        try:
            documents += _documents(str(file), file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as exc:
            problems.append(f"{file}: cannot be read: {exc}")
        except yaml.YAMLError as exc:
            problems.append(f"{file}: is no YAML: {_flat(exc)}")
    if problems:
        raise SourceError("\n".join(problems))
    return documents


def build_kustomization(folder: Path) -> list[Document]:
    """Return what `kubectl kustomize` makes of a folder.

    Raises:
        SourceError: kubectl is missing or refuses the folder; its own words are in the message.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise SourceError("-k needs kubectl, which is not in PATH: install it, or give the built YAML with -f")
    try:
        done = subprocess.run(  # noqa: S603 (the caller's own kubectl and folder, no shell)
            [kubectl, "kustomize", str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_KUSTOMIZE_LIMIT_S,
        )
    except subprocess.TimeoutExpired as exc:
        raise SourceError(f"{folder}: kubectl kustomize took more than {_KUSTOMIZE_LIMIT_S} s") from exc
    if done.returncode != 0:
        raise SourceError(f"{folder}: kubectl kustomize: {done.stderr.strip()}")
    return _documents(str(folder), done.stdout)


class _Loader(yaml.SafeLoader):
    """Leaves times as they are written, as Kubernetes reads YAML."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _documents(origin: str, text: str) -> list[Document]:
    loaded: Iterable[Any] = yaml.load_all(text, Loader=_Loader)
    return [Document(origin, content) for content in loaded]


def _flat(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
