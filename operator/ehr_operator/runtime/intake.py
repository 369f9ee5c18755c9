"""Takes in what the watch, the lists and our own writes bring, and turns it into work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ehr_operator.runtime.bodies import Compactor, addressed, finalizers, is_deleting, is_fresh, key_of
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Change, Key, Kind
from ehr_operator.runtime.queue import Priority, WorkQueue

HostOf = Callable[[str, Body], Hashable]
"""Given a kind and a body, returns the server outside that a reconcile waits for, or None."""


@dataclass
class Backlog:
    """The work of one kind, and what is remembered of its objects from one reconcile to the next."""

    kind: Kind[Any, Any]
    queue: WorkQueue
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    unhindered: set[Key] = field(default_factory=set[Key])
    """Objects whose back-off is lifted, since something changed that may have mended them."""
    errors: dict[Key, int] = field(default_factory=dict[Key, int])
    """Reconciles in a row that could not even write their outcome."""
    slow: set[Key] = field(default_factory=set[Key])
    """Objects whose last reconcile waited for long."""

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
        self.queue.forget(key)
        self.errors.pop(key, None)
        self.unhindered.discard(key)
        self.slow.discard(key)


class Intake:
    """Keeps the cache, and queues the objects that something happened to."""

    def __init__(
        self,
        kinds: Sequence[Kind[Any, Any]],
        cache: Cache,
        metrics: Metrics,
        *,
        host_of: HostOf | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._metrics = metrics
        self._host_of = host_of
        self._compactor = Compactor()
        self._monotonic = monotonic
        self.backlogs = {
            kind.kind: Backlog(kind, WorkQueue(kind.min_interval_s, self._host, most_at_host=kind.workers))
            for kind in kinds
        }
        self.standing_by = False
        """Another process leads: what comes in is kept, and nothing is queued."""

    def seen(self, kind: str, body: Body) -> None:
        """Take in an object as it stands, unless a newer version is known."""
        backlog = self.backlogs[kind]
        key = key_of(kind, body)
        before = self._cache.get(key)
        body = self._compactor.compacted(body)
        if not self._cache.put(key, body) or self.standing_by:
            return
        respecified = before is not None and addressed(before) != addressed(body)
        if before is None or respecified or _lost_finalizer(backlog.kind, before, body):
            if before is not None:  # at a start everything is new and nothing is news: a back-off in status goes on
                backlog.unhindered.add(key)
            self.add(key, Priority.DELETION if is_deleting(body) else Priority.CHANGE)
        if before is None:
            self._arrived(backlog, body)
        elif backlog.kind.signal(before) != backlog.kind.signal(body):
            # References may have been changed: those who were looked at before are told too.
            related = {*backlog.kind.related(before), *backlog.kind.related(body)}
            self.wake(related, Change(kind, before, body) if respecified else None)

    def lead(self) -> None:
        """Begin to reconcile what was only kept so far: as at a start, everything is new and nothing is news."""
        self.standing_by = False
        for backlog in self.backlogs.values():
            for body in self._cache.list(backlog.kind.kind, ""):
                self.add(key_of(backlog.kind.kind, body), Priority.DELETION if is_deleting(body) else Priority.CHANGE)
                self._arrived(backlog, body)

    def gone(self, kind: str, body: Body) -> None:
        """Take in that an object was deleted."""
        self.forget(key_of(kind, body), version=int(body["metadata"]["resourceVersion"]))

    def listed(self, kind: str, keys: set[Key], version: int) -> None:
        """Take in that a complete list held these objects alone, and drop the others: a watch may have missed the deletion."""
        for key in self._cache.keys(kind) - keys:
            self.forget(key, version=version)

    def forget(self, key: Key, *, version: int | None = None) -> None:
        """Drop an object that is gone, unless it is known in a later version."""
        backlog = self.backlogs[key.kind]
        body = self._cache.drop(key, version=version)
        if body is None:
            return
        backlog.forget(key)
        self.wake(backlog.kind.related(body), Change(key.kind, body, None))

    def wake(self, keys: Iterable[Key], change: Change | None) -> None:
        """Queue those of the objects that exist; `change` lifts the back-off of those that it may have mended."""
        if self.standing_by:
            return
        for key in keys:
            if self._cache.get(key) is not None:
                backlog = self.backlogs[key.kind]
                if change is not None and backlog.kind.mended_by(change):
                    backlog.unhindered.add(key)
                self.add(key, Priority.CHANGE)

    def add(self, key: Key, priority: Priority, after_s: float = 0.0) -> None:
        """Queue an object."""
        backlog = self.backlogs[key.kind]
        backlog.queue.add(key, priority, now=self._monotonic(), after_s=after_s)
        self._metrics.adds.labels(key.kind).inc()
        backlog.changed.set()

    def _arrived(self, backlog: Backlog, body: Body) -> None:
        self.wake(backlog.kind.related(body), Change(backlog.kind.kind, None, body) if is_fresh(body) else None)

    def _host(self, key: Key) -> Hashable:
        body = self._cache.get(key)
        return None if body is None or self._host_of is None else self._host_of(key.kind, body)


def _lost_finalizer(kind: Kind[Any, Any], before: Body, body: Body) -> bool:
    return (
        kind.finalizer is not None and kind.finalizer in finalizers(before) and kind.finalizer not in finalizers(body)
    )
