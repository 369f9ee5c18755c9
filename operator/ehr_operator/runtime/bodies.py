"""What the runtime reads of an object's metadata."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from typing import Any, cast

from ehr_api.meta import GROUP
from ehr_operator.runtime.model import Body, Key

_MOST_TEXTS = 20_000
"""Texts that are known at a time: those of one object alone, such as its addresses, are not kept for ever."""
_MOST_PARTS = 2_000
"""Parts of a status, conditions above all, that are known at a time: objects that share one were looked at in the same second."""


def key_of(kind: str, body: Body) -> Key:
    """Return the key of a body."""
    return Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])


def finalizers(body: Body) -> list[str]:
    """Return the finalizers that stand on the object."""
    return body["metadata"].get("finalizers", [])


def is_deleting(body: Body) -> bool:
    """Return whether somebody has deleted the object, and finalizers hold it."""
    return "deletionTimestamp" in body["metadata"]


def addressed(body: Body) -> Hashable:
    """Return what somebody changes in order to tell us something; everything else of an object is noise to it."""
    metadata = body["metadata"]
    annotations: dict[str, str] = metadata.get("annotations", {})
    ours = frozenset((name, value) for name, value in annotations.items() if name.startswith(f"{GROUP}/"))
    return metadata["uid"], metadata["generation"], is_deleting(body), ours


def is_fresh(body: Body) -> bool:
    """Return whether nobody has looked at the object yet: its arrival is news to those who waited for it."""
    observed: int = body.get("status", {}).get("observedGeneration", -1)
    return observed < 0


def without_managers(body: Mapping[str, Any]) -> Body:
    """Return a body without the API server's record of who wrote which field: half of the size, and nobody here reads it."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}


class Compactor:
    """Makes bodies small enough to keep thousands.

    The record of who wrote which field is left out. Names of fields, and what stands in many a status (types, reasons,
    messages, times, whole conditions), are kept once: a JSON parser makes them anew for each document. So nobody may change
    a body.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._parts: dict[Hashable, dict[str, Any]] = {}

    def compacted(self, body: Body) -> Body:
        """Return an equal body but for `managedFields`."""
        if len(self._texts) > _MOST_TEXTS:
            self._texts.clear()
        if len(self._parts) > _MOST_PARTS:
            self._parts.clear()
        return {
            name: self._with_known_parts(value) if name == "status" else _with_known_names(value)
            for name, value in without_managers(body).items()
        }

    def _with_known_parts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._texts.setdefault(value, value)
        if isinstance(value, dict):
            whole = cast("dict[str, Any]", value)
            fields = {sys.intern(name): self._with_known_parts(one) for name, one in whole.items()}
            return fields if any(isinstance(one, dict | list) for one in fields.values()) else self._known(fields)
        if isinstance(value, list):
            return [self._with_known_parts(one) for one in cast("list[Any]", value)]
        return value

    def _known(self, fields: dict[str, Any]) -> dict[str, Any]:
        types = tuple(map(type, fields.values()))  # 1 and True are equal, and not the same
        return self._parts.setdefault((types, *fields.items()), fields)


def _with_known_names(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {sys.intern(name): _with_known_names(one) for name, one in fields.items()}
    if isinstance(value, list):
        return [_with_known_names(one) for one in cast("list[Any]", value)]
    return value
