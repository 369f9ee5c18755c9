"""Kubernetes Events: posted beside the work, counted up when they repeat, and never more than a person would read."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from ehr_api.meta import GROUP
from ehr_operator.runtime.kube import Kube, KubeError, NotFoundError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Clock, ConflictError, Note

_log = logging.getLogger(__name__)
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

_BURST = 10.0
_REFILL_S = 300.0
"""An object may post a burst, then one Event in this time; client-go's spam filter has the same figures."""
_SERIES_S = 360.0
"""A repetition within this time is counted on the Event that stands (Kubernetes API, EventSeries)."""
_REMEMBERED = 4096
_WAITING = 10_000
_NOTE_BYTES = 1024


@dataclass(slots=True)
class _Posted:
    name: str
    count: int
    last_s: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Recorder:
    """Posts Events in a task of its own: a slow or refusing API server never holds a reconcile back."""

    def __init__(self, kube: Kube, metrics: Metrics, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._kube = kube
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._waiting: asyncio.Queue[tuple[Body, Note]] = asyncio.Queue(_WAITING)
        self._posted: OrderedDict[tuple[str, Note], _Posted] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def post(self, body: Body, note: Note) -> None:
        """Have an Event posted about the object."""
        try:
            self._waiting.put_nowait((body, note))
        except asyncio.QueueFull:
            self._metrics.events_dropped.inc()

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            body, note = await self._waiting.get()
            try:
                await self._send(body, note)
            except (KubeError, ConflictError) as exc:
                # An Event is a courtesy: the namespace may be going away, or the role may not allow it.
                self._metrics.events_dropped.inc()
                _log.info("an Event was not posted: %s", exc)
            finally:
                self._waiting.task_done()

    async def drain(self) -> None:
        """Return when everything that waits was posted."""
        await self._waiting.join()

    async def _send(self, body: Body, note: Note) -> None:
        uid = str(body["metadata"]["uid"])
        now_s = self._monotonic()
        posted = self._posted.get((uid, note))
        if posted is not None and now_s - posted.last_s < _SERIES_S:
            posted.count += 1
            posted.last_s = now_s
            series = {"series": {"count": posted.count, "lastObservedTime": _micro(self._clock())}}
            with suppress(NotFoundError):  # expired meanwhile: a new one is posted
                await self._kube.patch_event(body["metadata"]["namespace"], posted.name, series)
                return
        if not self._may_post(uid, now_s):
            self._metrics.events_dropped.inc()
            return
        event = _event(body, note, self._clock())
        await self._kube.create_event(body["metadata"]["namespace"], event)
        _remember(self._posted, (uid, note), _Posted(event["metadata"]["name"], 1, now_s))

    def _may_post(self, uid: str, now_s: float) -> bool:
        bucket = self._buckets.get(uid) or _Bucket(_BURST, now_s)
        bucket.tokens = min(_BURST, bucket.tokens + (now_s - bucket.at_s) / _REFILL_S)
        bucket.at_s = now_s
        _remember(self._buckets, uid, bucket)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


def _remember(memory: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)


def _event(body: Body, note: Note, now: datetime) -> dict[str, Any]:
    """Return an Event of events.k8s.io/v1; in a cluster, the host name is the name of the pod."""
    metadata = body["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "eventTime": _micro(now),
        "reportingController": f"{GROUP}/ehr-operator",
        "reportingInstance": f"{socket.gethostname()}-{os.getpid()}"[:128],
        "action": "Reconcile",
        "reason": note.reason,
        "note": note.message.encode()[:_NOTE_BYTES].decode(errors="ignore"),
        "type": "Warning" if note.warning else "Normal",
        "regarding": {
            "apiVersion": body["apiVersion"],
            "kind": body["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
    }


def _micro(moment: datetime) -> str:
    """Return a moment as Kubernetes' MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
