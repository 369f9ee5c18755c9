"""Prints docs/reference/kinds.md: the fields of the four kinds, as `kubectl explain` tells them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from unit.repository.reference_pages import REPOSITORY

COMMAND = "PYTHONPATH=tests .venv/bin/python tests/unit/repository/reference_kinds.py > docs/reference/kinds.md"
_KINDS = ("ehrconnectorconfigs", "fhirendpoints", "smsnumbers", "integrationrecords")
_VALUES_SHOWN = 8


def kinds_page() -> str:
    """Return the page as it is to stand in the repository."""
    parts = [
        "# Kinds\n",
        "Group `ehrconnector.io`, version `v1alpha1`, all namespaced and in the category `ehr`. **Bold** fields are required. This page is",
        "generated from `crds/`; after a change of a model run `make crds` and",
        f"\n```\n{COMMAND}\n```\n",
    ]
    for kind in _KINDS:
        document = yaml.safe_load((REPOSITORY / f"crds/{kind}.yaml").read_text(encoding="utf-8"))
        names = document["spec"]["names"]
        schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        parts.append(f"## {names['kind']}\n")
        parts.append(f"{schema['description']} Short name: `{names['shortNames'][0]}`.\n")
        for part in ("spec", "status"):
            parts.append(f"### {names['kind']} {part}\n")
            parts.append("| field | type | meaning |\n| --- | --- | --- |")
            parts += [_row(*field) for field in _fields(schema["properties"].get(part, {}), "")]
            parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    required = set(schema.get("required", []))
    for name, field in schema.get("properties", {}).items():
        if path == "" and name == "conditions":
            continue  # they have a page of their own
        where = f"{path}{name}"
        yield where, field, name in required
        inner = field.get("items", field) if field.get("type") == "array" else field
        if inner.get("properties"):
            yield from _fields(inner, f"{where}{'[]' if field.get('type') == 'array' else ''}.")


def _row(path: str, field: dict[str, Any], required: bool) -> str:
    shown = f"**`{path}`**" if required else f"`{path}`"
    description = str(field.get("description", "")).replace("|", "\\|").replace("\n", " ")
    return f"| {shown} | {_type(field)} | {description} |"


def _type(field: dict[str, Any]) -> str:
    values = field.get("enum")
    if values and len(values) <= _VALUES_SHOWN:
        return " \\| ".join(f"`{value}`" for value in values)
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    return str(field.get("type", ""))


if __name__ == "__main__":
    print(kinds_page(), end="")  # noqa: T201 (the page is the output)
