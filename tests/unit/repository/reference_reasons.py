"""Collects the reasons of conditions and Events from the operator's source, so that a page can be held to them.

Where a reason can stand is a short list: the places of `_PLACES`, tuples (a reason beside its message) and the values of
tables. A string there that is written like a reason is one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unit.repository.reference_pages import OPERATOR

from ehr_api.conditions import Type

SOURCES = {
    "Every kind": ["runtime/controller.py", "runtime/outcome.py"],
    "EHRConnectorConfig": ["connector_config"],
    "FhirEndpoint": ["fhir_endpoint"],
    "SmsNumber": ["sms_number"],
    "IntegrationRecord": ["integration_record.py"],
}
"""The code that writes the conditions of each section of the page."""

_REASON = re.compile(r"[A-Z][a-z][A-Za-z0-9]+")
_STATUS = {"true": "True", "false": "False", "unknown": "Unknown"}
_PLACES: dict[str, int | str] = {
    **dict.fromkeys(_STATUS, 1),
    "Finding": 2,
    "Outcome": "reason",
    "Situation": 0,
    "Blocked": 0,
    "Poll": 0,
    "WaitToBuy": 0,
    "awaiting_connector": 0,
    "_unlooked": 0,
    "_failed": 0,
    "_blocked": 1,
    "get": 1,
}
"""Which argument of a call is a reason."""


@dataclass(frozen=True)
class Written:
    """What some code can write."""

    reasons: frozenset[str]
    conditions: frozenset[tuple[str, str, str]]
    """Type, status and reason, where all three stand in one call."""
    events: frozenset[str]


def written(section: str) -> Written:
    """Return what the code of a section can write."""
    reasons: set[str] = set()
    conditions: set[tuple[str, str, str]] = set()
    events: set[str] = set()
    for path in _files(section):
        module = _Module(ast.parse(path.read_text(encoding="utf-8")))
        reasons |= set(module.reasons())
        conditions |= set(module.conditions())
        events |= set(module.events())
    return Written(frozenset(reasons), frozenset(conditions), frozenset(events))


def reasons_in(source: str) -> set[str]:
    """Return the reasons of conditions in a piece of source."""
    return set(_Module(ast.parse(source)).reasons())


def _files(section: str) -> Iterator[Path]:
    for name in SOURCES[section]:
        place = OPERATOR / name
        yield from place.rglob("*.py") if place.is_dir() else [place]


class _Module:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        self._compared = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for part in (node.left, *node.comparators)
        }

    def reasons(self) -> Iterator[str]:
        """Return every reason of a condition."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._texts(_argument(node, _PLACES.get(_name(node))))
            elif isinstance(node, ast.Tuple) and id(node) not in self._compared:
                for element in node.elts:
                    yield from self._texts(element)
            elif isinstance(node, ast.Dict):
                for value in node.values:
                    yield from self._texts(value)

    def conditions(self) -> Iterator[tuple[str, str, str]]:
        """Return type, status and reason of the calls that hold all three."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _name(node) in _STATUS:
                type_ = _argument(node, 0)
                if isinstance(type_, ast.Attribute) and type_.attr in Type.__members__:
                    for reason in self._texts(_argument(node, 1)):
                        yield Type[type_.attr].value, _STATUS[_name(node)], reason

    def events(self) -> Iterator[str]:
        """Return every reason of an Event of its own."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _name(node) == "Note":
                yield from self._texts(_argument(node, 0))

    def _texts(self, node: ast.expr | None) -> Iterator[str]:
        match node:
            case ast.Constant(value=str(text)) if _REASON.fullmatch(text):
                yield text
            case ast.IfExp(body=one, orelse=other):
                yield from self._texts(one)
                yield from self._texts(other)
            case ast.Name(id=name) if name in self._constants:
                yield from self._texts(self._constants[name])
            case _:
                return


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _argument(call: ast.Call, place: int | str | None) -> ast.expr | None:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if isinstance(place, int):
        return call.args[place] if place < len(call.args) else named.get("reason")
    return named.get(place) if place else None
