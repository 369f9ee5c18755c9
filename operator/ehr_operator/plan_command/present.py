"""The plan for people, and for programs. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ehr_operator.plan_command.effect import Action, Change, Effect

FORMAT = "ehrconnector.io/plan/v1"

_QUIET = frozenset({Action.NUMBER_KEPT})


def is_destructive(effects: Sequence[Effect]) -> bool:
    """Return whether something that works today would stop working, or be lost."""
    return any(effect.destructive for effect in effects)


def as_text(effects: Sequence[Effect]) -> str:
    """Return a list grouped by organisation; what is destructive is marked with an exclamation mark."""
    width = max((len(effect.action) for effect in effects), default=0)
    lines: list[str] = []
    for organization, group in groupby(effects, key=lambda effect: effect.organization):
        lines.append(f"Organisation {organization}")
        for effect in group:
            mark = "!" if effect.destructive else " "
            lines.append(f"{mark} {effect.action:<{width}}  {effect.key.kind}/{effect.key.name}: {effect.message}")
            lines += [f"  {'':<{width}}    {_change(change)}" for change in effect.changes]
        lines.append("")
    return "\n".join([*lines, _summary(effects)])


def as_json(effects: Sequence[Effect]) -> str:
    """Return the plan as JSON.

    An object with `format` (`ehrconnector.io/plan/v1`; another number where a field changes its meaning or goes),
    `destructive` (boolean) and `effects`, a list of objects, sorted by organisation, kind and name, each with

    - `organization`: namespace and name of the EHRConnectorConfig, with a slash between;
    - `object`: `kind`, `namespace` and `name` of the object through which it happens;
    - `action`: a name of `effect.Action`;
    - `destructive`: boolean;
    - `message`: for people, not for programs;
    - `changes`: a list of `field`, `before` and `after`, texts or null.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "destructive": is_destructive(effects),
        "effects": [
            {
                "organization": effect.organization,
                "object": effect.key._asdict(),
                "action": effect.action.value,
                "destructive": effect.destructive,
                "message": effect.message,
                "changes": [
                    {"field": change.field, "before": change.before, "after": change.after} for change in effect.changes
                ],
            }
            for effect in effects
        ],
    }
    return json.dumps(document, indent=2)


def _change(change: Change) -> str:
    return f"{change.field}: {change.before or '(none)'} -> {change.after or '(none)'}"


def _summary(effects: Sequence[Effect]) -> str:
    counts = Counter(effect.action.value for effect in effects if effect.action not in _QUIET)
    if not counts:
        return "Nothing outside the cluster would change."
    destructive = sum(effect.destructive for effect in effects)
    told = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
    return f"{told}. {destructive or 'None'} destructive{' (!)' if destructive else ''}."
