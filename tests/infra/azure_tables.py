"""The tables of docs/how-to/azure.md; `python tests/infra/azure_tables.py` writes them anew.

They are made from what the production sample declares and from the model of the settings, so that the page says what is so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from infra.declared import REPOSITORY, declare

from ehr_infra.config import Settings
from ehr_sandbox.pulumi_provider.resource_ids import resource_id
from ehr_sandbox.pulumi_provider.world import Recorded

PAGE = REPOSITORY / "docs" / "how-to" / "azure.md"


def settings_table() -> str:
    """Every key, what it is without being set, and what it means."""
    rows = ["| key | default | |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        if field.default_factory is not None:
            default = "none"
        rows.append(f"| `{field.alias or name}` | {default} | {field.description} |")
    return "\n".join(rows)


def resources_table(resources: Mapping[str, Recorded]) -> str:
    """Every Azure resource but the settings and rights of others, by its type and name."""
    small = ("DiagnosticSetting", "RoleAssignment", "VirtualNetworkLink", "PrivateDnsZoneGroup", "Configuration")
    rows = [
        f"| {found.token.removeprefix('azure-native:')} | `{_name(found)}` |"
        for found in resources.values()
        if not found.token.endswith(tuple(f":{kind}" for kind in small))
    ]
    return "\n".join(["| type | name |", "| --- | --- |", *sorted(rows)])


def _name(found: Recorded) -> str:
    if "roleName" in found.inputs:
        return str(found.inputs["roleName"])
    return resource_id(found.token, found.inputs).rpartition("/")[2]


def _shown(default: Any) -> str:
    if default in (None, "", ()):
        return "none"
    if isinstance(default, tuple):
        return f"`{json.dumps(default)}`"
    if hasattr(default, "model_dump_json"):
        return f"`{default.model_dump_json(by_alias=True)}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def replaced(page: str, name: str, table: str) -> str:
    """The page with the table between its two comments."""
    before, opening, rest = page.partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"\n<!-- /{name} -->")
    if not (opening and closing):
        raise ValueError(f"{PAGE} has no place for the {name}")
    return f"{before}{opening}{table}{closing}{after}"


def page_of(resources: Mapping[str, Recorded]) -> str:
    """The page as it should be."""
    page = replaced(PAGE.read_text(encoding="utf-8"), "settings", settings_table())
    return replaced(page, "resources", resources_table(resources))


if __name__ == "__main__":
    PAGE.write_text(page_of(declare("production", {})), encoding="utf-8")
