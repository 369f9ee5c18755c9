"""A small API server in memory, in the place of `Kube`; it counts what is asked of it and can be told to fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from unit.operator.runtime.widgets import WIDGET

from ehr_operator.runtime.kube import ApiUnavailableError, Kube
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, ConflictError, Key

Fail = Callable[[str, str], Exception | None]
"""Given what is asked for and the name of the object, returns what to raise instead of an answer."""


@dataclass
class Write:
    """One request that changed something, or was to."""

    what: str
    """`status`, `finalizers`, `event` or `series`."""
    name: str
    body: Any = field(repr=False)


class MemoryKube(Kube):
    """Objects with resource versions and finalizers as a real API server keeps them."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__({WIDGET: "widgets"}, metrics)
        self.bodies: dict[Key, dict[str, Any]] = {}
        self.writes: list[Write] = []
        self.reads: list[Key] = []
        self.fail: Fail = answer
        self.on_change: Callable[[str, dict[str, Any]], None] = _nobody
        """The watch: is told ADDED, MODIFIED or DELETED, and the body."""
        self.version = 100

    # What users, GitOps and other controllers do.

    def put(self, body: Body) -> Key:
        """Create or replace an object."""
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        type_ = "MODIFIED" if key in self.bodies else "ADDED"
        self._store(key, copy.deepcopy(dict(body)), type_)
        return key

    def change(self, key: Key, *, spec: dict[str, Any] | None = None, **metadata: Any) -> None:
        """Change fields of spec (a new generation) or metadata."""
        body = copy.deepcopy(self.bodies[key])
        body["metadata"] |= metadata
        if spec is not None:
            body["spec"] |= spec
            body["metadata"]["generation"] += 1
        self._store(key, body, "MODIFIED")

    def begin_deletion(self, key: Key) -> None:
        """Delete an object; finalizers hold it."""
        body = copy.deepcopy(self.bodies[key])
        body["metadata"] |= {"deletionTimestamp": "2026-03-02T09:00:00Z"}
        body["metadata"]["generation"] += 1
        self._store(key, body, "MODIFIED")

    # What the operator asks for.

    async def read(self, key: Key) -> Body | None:
        self.reads.append(key)
        self._may_fail("read", key.name)
        return copy.deepcopy(self.bodies.get(key))

    async def apply_status(self, body: Body) -> Body:
        key = Key(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        self.writes.append(Write("status", key.name, body["status"]))
        self._may_fail("status", key.name)
        standing = self.bodies.get(key)
        wanted = body["metadata"].get("resourceVersion")
        if standing is None or wanted not in (None, standing["metadata"]["resourceVersion"]):
            raise ConflictError(key.name)
        return self._written(self._store(key, standing | {"status": copy.deepcopy(body["status"])}, "MODIFIED"))

    async def patch_finalizers(self, body: Body, kind: str, finalizers: list[str]) -> Body:
        key = Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        self.writes.append(Write("finalizers", key.name, finalizers))
        self._may_fail("finalizers", key.name)
        standing = self.bodies.get(key)
        if standing is None or standing["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ConflictError(key.name)
        changed = standing | {"metadata": standing["metadata"] | {"finalizers": list(finalizers)}}
        return self._written(self._store(key, changed, "MODIFIED"))

    async def create_event(self, namespace: str, event: Body) -> Body:
        self.writes.append(Write("event", event["regarding"]["name"], event))
        self._may_fail("event", event["regarding"]["name"])
        return event

    async def patch_event(self, namespace: str, name: str, patch: Body) -> Body:
        self.writes.append(Write("series", name, patch["series"]))
        self._may_fail("series", name)
        return patch

    # What a test looks at.

    def written(self, what: str) -> list[Any]:
        """The bodies of all writes of this sort, in order."""
        return [write.body for write in self.writes if write.what == what]

    def conditions(self, key: Key) -> dict[str, tuple[str, str]]:
        """Status and reason of each condition."""
        standing = self.bodies[key].get("status", {}).get("conditions", [])
        return {condition["type"]: (condition["status"], condition["reason"]) for condition in standing}

    def _may_fail(self, what: str, name: str) -> None:
        error = self.fail(what, name)
        if error is not None:
            raise error

    def _store(self, key: Key, body: dict[str, Any], type_: str) -> dict[str, Any]:
        self.version += 1
        body = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        if "deletionTimestamp" in body["metadata"] and not body["metadata"].get("finalizers"):
            self.bodies.pop(key, None)
            type_ = "DELETED"
        else:
            self.bodies[key] = body
        self.on_change(type_, copy.deepcopy(body))
        return copy.deepcopy(body)


def answer(_what: str, _name: str) -> None:
    """Makes an API server answer everything."""


def refuse(error: Exception, *what: str, name: str | None = None) -> Fail:
    """Return what makes an API server raise `error` on these sorts of requests, for one object or for all."""
    return lambda asked, of: error if asked in what and name in (None, of) else None


def unavailable(*what: str, name: str | None = None) -> Fail:
    """Return what makes an API server give no answer to these sorts of requests."""
    return refuse(ApiUnavailableError("no answer"), *what, name=name)


def _nobody(_type: str, _body: dict[str, Any]) -> None:
    """Nobody watches."""
