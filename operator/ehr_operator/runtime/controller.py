"""The controller: takes in what the watch and our own writes bring, and reconciles one object at a time, many abreast."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ehr_api.conditions import Type, false, find, merge, true
from ehr_api.meta import API_VERSION, GROUP, REQUESTED_AT, Condition, KindStatus
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.kube import Kube, KubeError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import (
    FREE,
    Body,
    Clock,
    ConflictError,
    Failure,
    Finalized,
    Key,
    Kind,
    Note,
    Object,
    Outcome,
    State,
    TryLaterError,
    parse_object,
)
from ehr_operator.runtime.outcome import conclude, held_back_s, pause_s, standing_findings
from ehr_operator.runtime.queue import Priority, Work, WorkQueue

_log = logging.getLogger(__name__)

_STOP_GRACE_S = 15.0
"""Reconciles under way may end in this time; a step that was cut is taken up again by the next process."""
_INVALID_LENGTH = 1000
_CONFLICTS = 3
"""Conflicts in a row that are taken for what they say."""


@dataclass
class Lane:
    """The work of one kind."""

    kind: Kind[Any, Any]
    queue: WorkQueue
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    unhindered: set[Key] = field(default_factory=set[Key])
    """Objects whose back-off is lifted, since something changed on which they may have failed."""
    errors: dict[Key, int] = field(default_factory=dict[Key, int])
    """Reconciles in a row that could not even write their outcome."""


class Controller:
    """Reconciles the objects of all kinds."""

    def __init__(
        self,
        kinds: Sequence[Kind[Any, Any]],
        kube: Kube,
        cache: Cache,
        recorder: Recorder,
        metrics: Metrics,
        clock: Clock,
        *,
        random: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._monotonic = monotonic
        self._lanes = {kind.kind: Lane(kind, WorkQueue(kind.min_interval_s)) for kind in kinds}
        self.stopping = False
        self.standing_by = False
        """Another process leads: what comes in is kept, and nothing is queued."""

    # What comes in: from the watch, from lists, and from our own writes, which are thus read at once.

    def seen(self, kind: str, body: Body) -> None:
        """Take in an object as it stands, unless a newer version is known."""
        lane = self._lanes[kind]
        key = Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        before = self._cache.get(key)
        body = _without_bookkeeping(body)
        if not self._cache.put(key, body) or self.standing_by:
            return
        if before is None or _addressed(before) != _addressed(body) or _lost_finalizer(lane.kind, before, body):
            if before is not None:  # at a start everything is new and nothing is news: a back-off in status goes on
                lane.unhindered.add(key)
            self._add(key, Priority.DELETION if _deleting(body) else Priority.CHANGE)
        if before is None:
            self._arrived(lane, body)
        elif lane.kind.signal(before) != lane.kind.signal(body):
            # References may have been changed: those who were looked at before are told too.
            self._wake({*lane.kind.related(before), *lane.kind.related(body)}, unhindered=_respecified(before, body))

    def lead(self) -> None:
        """Begin to reconcile what was only kept so far: as at a start, everything is new and nothing is news."""
        self.standing_by = False
        for lane in self._lanes.values():
            for body in self._cache.list(lane.kind.kind, ""):
                key = Key(lane.kind.kind, body["metadata"]["namespace"], body["metadata"]["name"])
                self._add(key, Priority.DELETION if _deleting(body) else Priority.CHANGE)
                self._arrived(lane, body)

    def _arrived(self, lane: Lane, body: Body) -> None:
        self._wake(lane.kind.related(body), unhindered=_is_fresh(body))

    def gone(self, kind: str, body: Body) -> None:
        """Take in that an object was deleted."""
        key = Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])
        self._forget(key, version=int(body["metadata"]["resourceVersion"]))

    def listed(self, kind: str, bodies: Sequence[Body], version: int) -> None:
        """Take in a complete list, and drop what it holds no more: a watch may have missed the deletion."""
        for body in bodies:
            self.seen(kind, body)
        named = {Key(kind, body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies}
        for key in self._cache.keys(kind) - named:
            self._forget(key, version=version)

    def _forget(self, key: Key, *, version: int | None = None) -> None:
        lane = self._lanes[key.kind]
        body = self._cache.drop(key, version=version)
        if body is None:
            return
        lane.queue.forget(key)
        lane.errors.pop(key, None)
        lane.unhindered.discard(key)
        self._wake(lane.kind.related(body), unhindered=True)

    def _wake(self, keys: Iterable[Key], *, unhindered: bool) -> None:
        if self.standing_by:
            return
        for key in keys:
            if self._cache.get(key) is not None:
                if unhindered:
                    self._lanes[key.kind].unhindered.add(key)
                self._add(key, Priority.CHANGE)

    def _add(self, key: Key, priority: Priority, after_s: float = 0.0) -> None:
        lane = self._lanes[key.kind]
        lane.queue.add(key, priority, now=self._monotonic(), after_s=after_s)
        self._metrics.adds.labels(key.kind).inc()
        lane.changed.set()

    # What goes on.

    async def run(self) -> None:
        """Reconcile until `stop` is called; then end what is under way. Cancelled, it cancels that too."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes.values():
                group.create_task(self._run(lane), name=f"controller {lane.kind.kind}")

    def stop(self) -> None:
        """Begin nothing new."""
        self.stopping = True
        for lane in self._lanes.values():
            lane.changed.set()

    async def _run(self, lane: Lane) -> None:
        tasks: set[asyncio.Task[None]] = set()
        name = lane.kind.kind

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            lane.changed.set()

        try:
            while not self.stopping:
                lane.changed.clear()
                now = self._monotonic()
                work = lane.queue.take(now=now) if len(tasks) < lane.kind.workers else None
                self._metrics.depth.labels(name).set(len(lane.queue))
                self._metrics.active.labels(name).set(lane.queue.active)
                if work is not None:
                    task = asyncio.create_task(self._process(lane, work))
                    tasks.add(task)
                    task.add_done_callback(ended)
                    continue
                pause = None if len(tasks) >= lane.kind.workers else lane.queue.next_due_s(now=now)
                with suppress(TimeoutError):
                    await asyncio.wait_for(lane.changed.wait(), pause)
            if tasks:
                await asyncio.wait(tasks, timeout=_STOP_GRACE_S)
        finally:
            for task in tasks:
                task.cancel()

    async def _process(self, lane: Lane, work: Work) -> None:
        """Reconcile one object; whatever happens, the queue goes on."""
        key = work.key
        self._metrics.waited.labels(key.kind).observe(work.waited_s)
        started_s = self._monotonic()
        result = "error"
        where = {"kind": key.kind, "namespace": key.namespace, "object": key.name}
        try:
            result = await self._reconcile(lane, key)
            lane.errors.pop(key, None)
        except TryLaterError as exc:
            lane.unhindered.add(key)  # it was let through, and is again
            self._add(key, Priority.CHANGE, exc.after_s)
            result = "requeue_after"
        except ConflictError as exc:
            _log.debug("changed meanwhile, started again: %s", exc, extra=where)
            result = await self._again(lane, key)
        except KubeError as exc:
            _log.warning("the API server gave no usable answer: %s", exc, extra=where)
            self._later(lane, key)
        except Exception as exc:  # noqa: BLE001 (our own mistake with one object must not stop the others)
            _log.exception("a reconcile failed unexpectedly", extra=where)
            await self._report_bug(lane, key, exc)
        finally:
            lane.queue.done(key, now=self._monotonic())
            self._metrics.reconciled(key.kind, result, self._monotonic() - started_s)

    async def _reconcile(self, lane: Lane, key: Key) -> str:
        body = self._cache.get(key)
        if body is None:
            return "success"
        kind = lane.kind
        try:
            obj: Object[Any, Any] = parse_object(key.kind, body, kind.spec_type, kind.status_type)
        except ValidationError as exc:
            if _deleting(body) and kind.may_go(body):
                await self._drop_finalizer(kind, key, body)
            else:
                await self._report_invalid(kind, key, body, exc)
            return "success"
        pause = held_back_s(obj, self._clock())
        if pause and key not in lane.unhindered:
            self._add(key, Priority.RETRY, pause)
            return "requeue_after"
        lane.unhindered.discard(key)
        if obj.deleting:
            return await self._finalize(lane, obj)
        if kind.finalizer and kind.finalizer not in _finalizers(body):
            patched = await self._kube.patch_finalizers(body, key.kind, [*_finalizers(body), kind.finalizer])
            obj = parse_object(key.kind, patched, kind.spec_type, kind.status_type)
        return await self._write(obj, await kind.reconcile(obj))

    async def _finalize(self, lane: Lane, obj: Object[Any, Any]) -> str:
        finalizer = lane.kind.finalizer
        if finalizer is None or finalizer not in _finalizers(obj.body):
            return "success"
        outcome = await lane.kind.finalize(obj)
        if not isinstance(outcome, Finalized):
            return await self._write(obj, outcome)
        self._post(obj.body, outcome.notes)
        await self._drop_finalizer(lane.kind, obj.key, self._cache.get(obj.key) or obj.body)
        return "success"

    async def _drop_finalizer(self, kind: Kind[Any, Any], key: Key, body: Body) -> None:
        left = [name for name in _finalizers(body) if name != kind.finalizer]
        if left != _finalizers(body):
            await self._kube.patch_finalizers(body, key.kind, left)

    async def _write(self, obj: Object[Any, Any], outcome: Outcome[Any]) -> str:
        """Bring status in line with an outcome, tell of it, and plan the next look."""
        conclusion = conclude(obj, outcome, now=self._clock(), random=self._random)
        status = conclusion.status.to_api()
        body = self._cache.get(obj.key) or obj.body
        if body["metadata"]["uid"] != obj.uid:
            raise ConflictError(f"{obj.key} was replaced: what was found is about its predecessor")
        if status != body.get("status"):
            await self._kube.apply_status(_status_body(obj.key, status, body["metadata"]["resourceVersion"]))
        self._post(obj.body, conclusion.notes)
        self._wake(outcome.wake, unhindered=True)
        if conclusion.next_s is None:
            return "success"
        self._add(obj.key, Priority.RETRY if outcome.failure else Priority.PERIODIC, conclusion.next_s)
        return "requeue_after"

    async def _again(self, lane: Lane, key: Key) -> str:
        """Start again from what the API server holds now."""
        try:
            body = await self._kube.read(key)
        except KubeError:
            self._later(lane, key)
            return "error"
        if body is None:
            self._forget(key)
            return "requeue"
        self.seen(key.kind, body)
        if lane.errors.get(key, 0) >= _CONFLICTS:
            # Nobody changes an object that often: something refuses us in a way that looks like a conflict.
            self._later(lane, key)
            return "error"
        lane.errors[key] = lane.errors.get(key, 0) + 1
        lane.unhindered.add(key)
        self._add(key, Priority.CHANGE, lane.kind.min_interval_s)
        return "requeue"

    def _later(self, lane: Lane, key: Key) -> None:
        lane.errors[key] = failures = lane.errors.get(key, 0) + 1
        lane.unhindered.add(key)
        self._add(key, Priority.RETRY, pause_s(Failure(FREE), failures, self._random))

    async def _report_bug(self, lane: Lane, key: Key, error: Exception) -> None:
        """Say in status that we failed, on what the API server holds: the cached status may lack what was begun."""
        kind = lane.kind
        try:
            body = await self._kube.read(key)
            if body is None:
                self._forget(key)
                return
            obj: Object[Any, Any] = parse_object(key.kind, body, kind.spec_type, kind.status_type)
            outcome: Outcome[Any] = Outcome(
                state=State.RECONCILING,
                reason="InternalError",
                message=f"the operator failed on this object ({type(error).__name__}; its log has the trace); it tries again",
                findings=standing_findings(obj.status),
                status=obj.status,
                failure=Failure(FREE),
            )
            await self._write(obj, outcome)
        except Exception as exc:  # noqa: BLE001 (whatever it is, the object must not be lost)
            _log.warning("the failure could not be told in status: %s", type(exc).__name__)
            self._later(lane, key)

    async def _report_invalid(self, kind: Kind[Any, Any], key: Key, body: Body, error: ValidationError) -> None:
        """Say in status that this version does not understand the object; a changed object or version helps.

        The kind's own status is left as it stands: it may tell what is held outside.
        """
        places = sorted({".".join(map(str, problem["loc"])) for problem in error.errors()})
        message = f"this version of the operator does not understand: {', '.join(places)}"[:_INVALID_LENGTH]
        if _deleting(body):
            message += f"; to give up what the object holds outside the cluster, remove its finalizer {kind.finalizer}"
        status: dict[str, Any] = dict(body.get("status", {}))
        known = {type_.value for type_ in Type}
        conditions = [Condition.model_validate(one) for one in status.get("conditions", []) if one.get("type") in known]
        findings = (
            false(Type.READY, "InvalidSpec", message),
            true(Type.STALLED, "InvalidSpec", message),
            *standing_findings(KindStatus(conditions=conditions)),
        )
        generation = body["metadata"]["generation"]
        merged = merge(conditions, findings, generation=generation, now=self._clock())
        requested = body["metadata"].get("annotations", {}).get(REQUESTED_AT)
        status.pop("retry", None)
        status |= {"observedGeneration": generation, "conditions": [condition.to_api() for condition in merged]}
        status |= {"lastHandledReconcileAt": requested} if requested else {}
        if status != body.get("status"):
            await self._kube.apply_status(_status_body(key, status, body["metadata"]["resourceVersion"]))
        standing = find(conditions, Type.READY)
        if standing is None or standing.message != message:
            self._post(body, (Note("InvalidSpec", message, warning=True),))

    def _post(self, body: Body, notes: Iterable[Note]) -> None:
        for note in notes:
            self._recorder.post(body, note)


def _status_body(key: Key, status: dict[str, Any], version: str) -> Body:
    """Return what is applied; the API server refuses it when the object has another version by now."""
    return {
        "apiVersion": API_VERSION,
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace, "resourceVersion": version},
        "status": status,
    }


def _without_bookkeeping(body: Body) -> Body:
    """Return the body without the API server's record of who wrote which field: half of its size, and nobody here reads it."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}


def _finalizers(body: Body) -> list[str]:
    return body["metadata"].get("finalizers", [])


def _deleting(body: Body) -> bool:
    return "deletionTimestamp" in body["metadata"]


def _addressed(body: Body) -> Hashable:
    """Return what somebody changes in order to tell us something; everything else of an object is noise to it."""
    metadata = body["metadata"]
    annotations: dict[str, str] = metadata.get("annotations", {})
    ours = frozenset((name, value) for name, value in annotations.items() if name.startswith(f"{GROUP}/"))
    return metadata["uid"], metadata["generation"], _deleting(body), ours


def _is_fresh(body: Body) -> bool:
    """Return whether nobody has looked at the object yet: its arrival is news to those who waited for it."""
    observed: int = body.get("status", {}).get("observedGeneration", -1)
    return observed < 0


def _respecified(before: Body, body: Body) -> bool:
    return _addressed(before) != _addressed(body)


def _lost_finalizer(kind: Kind[Any, Any], before: Body, body: Body) -> bool:
    return (
        kind.finalizer is not None and kind.finalizer in _finalizers(before) and kind.finalizer not in _finalizers(body)
    )
