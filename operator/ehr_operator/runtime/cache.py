"""The newest body of each object, as the watch and the re-list brought it. A cache proves nothing before a paid call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from ehr_operator.runtime.model import Body, Key

_REMEMBERED = 10_000
"""Deletions that are remembered: what is under way at one moment is far less."""


class Cache:
    """Bodies by key, and by the indexed fields of their kind."""

    def __init__(self, indexes: Mapping[str, tuple[str, ...]]) -> None:
        self._bodies: dict[str, dict[Key, Body]] = {kind: {} for kind in indexes}
        self._paths = {kind: {path: path.split(".") for path in paths} for kind, paths in indexes.items()}
        self._indexed: dict[tuple[str, str, str, str], set[Key]] = {}
        self._gone: OrderedDict[Key, int] = OrderedDict()

    def get(self, key: Key) -> Body | None:
        """Return the newest known body."""
        return self._bodies[key.kind].get(key)

    def list(self, kind: str, namespace: str) -> list[Body]:
        """Return all bodies of a kind in a namespace (empty: in all), sorted by namespace and name."""
        bodies = self._bodies[kind]
        return [bodies[key] for key in sorted(bodies) if not namespace or key.namespace == namespace]

    @property
    def kinds(self) -> Iterable[str]:
        """Return the kinds that are kept."""
        return self._bodies

    def bodies(self, kind: str) -> Iterable[Body]:
        """Return all bodies of a kind, in no order."""
        return self._bodies[kind].values()

    def find(self, kind: str, namespace: str, index: str, value: str) -> list[Body]:
        """Return the bodies whose field `index` has this value, sorted by name."""
        return [self._bodies[kind][key] for key in sorted(self._indexed.get((kind, namespace, index, value), ()))]

    def keys(self, kind: str) -> set[Key]:
        """Return all known keys of a kind."""
        return set(self._bodies[kind])

    def put(self, key: Key, body: Body) -> bool:
        """Keep `body` unless a newer one, or a later deletion, is known; return whether it was kept.

        An answer or a list that was under way may bring an object after the watch has told that it is gone.
        """
        if _version(body) <= self._gone.get(key, -1):
            return False
        self._gone.pop(key, None)
        known = self._bodies[key.kind].get(key)
        if known is not None:
            if _version(known) >= _version(body):
                return False
            self._unindex(key, known)
        self._bodies[key.kind][key] = body
        for path, parts in self._paths[key.kind].items():
            value = _field(body, parts)
            if value is not None:
                self._indexed.setdefault((key.kind, key.namespace, path, value), set()).add(key)
        return True

    def drop(self, key: Key, *, version: int | None = None) -> Body | None:
        """Forget an object, unless a body newer than `version` is known; return what was known."""
        known = self._bodies[key.kind].get(key)
        if known is not None and version is not None and _version(known) > version:
            return None
        self._remember_gone(key, max(version or 0, _version(known) if known is not None else 0))
        if known is None:
            return None
        self._unindex(key, known)
        return self._bodies[key.kind].pop(key)

    def _remember_gone(self, key: Key, version: int) -> None:
        self._gone[key] = max(version, self._gone.pop(key, 0))
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    def _unindex(self, key: Key, body: Body) -> None:
        for path, parts in self._paths[key.kind].items():
            value = _field(body, parts)
            entry = (key.kind, key.namespace, path, str(value))
            keys = self._indexed.get(entry)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._indexed[entry]


def _version(body: Body) -> int:
    """Return the resource version. Kubernetes promises that it can be compared as a number (since 1.35)."""
    return int(body["metadata"]["resourceVersion"])


def _field(body: Body, parts: list[str]) -> str | None:
    value: Any = body
    for part in parts:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]  # pyright: ignore[reportUnknownVariableType]  (JSON)
    return str(value)  # pyright: ignore[reportUnknownArgumentType]  (JSON)
