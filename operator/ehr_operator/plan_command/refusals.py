"""Changes that the API server would refuse, read from the rules of the models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ehr_api.crd import KINDS, Schema, structural_schema
from ehr_api.meta import VALIDATIONS

_IMMUTABLE = "self == oldSelf"
_SCHEMAS = {resource.kind: structural_schema(resource.spec) for resource in KINDS}
_SET_ONCE = {
    resource.kind: [rule for rule in resource.spec_rules if rule.field_path and "oldSelf" in rule.rule]
    for resource in KINDS
}
"""Rules of a whole spec that look back: each says that one field may be set, and then stays."""


def refusals(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields that must not change but do, each with the words of the API server."""
    found = list(_immutable(_SCHEMAS[kind], before, after, "spec"))
    for rule in _SET_ONCE[kind]:
        name = str(rule.field_path).lstrip(".")
        if name in before and before[name] != after.get(name):
            found.append((f"spec.{name}", rule.message))
    return found


def _immutable(schema: Schema, before: Any, after: Any, path: str) -> Iterable[tuple[str, str]]:
    # A rule that looks back is checked only where the field stands on both sides.
    if before is None or after is None:
        return
    for rule in schema.get(VALIDATIONS, []):
        if rule["rule"] == _IMMUTABLE and before != after:
            yield path, rule["message"]
    for name, part in schema.get("properties", {}).items():
        yield from _immutable(part, before.get(name), after.get(name), f"{path}.{name}")
