"""The controller: works off what the intake queued, each object by itself, many abreast."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from ehr_api.meta import API_VERSION
from ehr_operator.runtime.bodies import finalizers, is_deleting
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.intake import Backlog, Intake
from ehr_operator.runtime.kube import Kube, KubeError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import (
    FREE,
    Body,
    Change,
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
from ehr_operator.runtime.outcome import conclude, conclude_unreadable, held_back_s, pause_s, standing_findings
from ehr_operator.runtime.queue import Priority, Work
from ehr_operator.runtime.workers import Workers

_log = logging.getLogger(__name__)

_STOP_GRACE_S = 15.0
"""Reconciles under way may end in this time; a step that was cut is taken up again by the next process."""
_CONFLICTS = 3
"""Conflicts in a row that are taken for what they say."""


class Controller:
    """Reconciles the objects of all kinds."""

    def __init__(
        self,
        intake: Intake,
        kube: Kube,
        cache: Cache,
        recorder: Recorder,
        metrics: Metrics,
        clock: Clock,
        *,
        random: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._intake = intake
        self._kube = kube
        self._cache = cache
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._monotonic = monotonic
        self.stopping = False

    async def run(self) -> None:
        """Reconcile until `stop` is called; then end what is under way. Cancelled, it cancels that too."""
        async with asyncio.TaskGroup() as group:
            for backlog in self._intake.backlogs.values():
                group.create_task(self._run(backlog), name=f"controller {backlog.kind.kind}")

    def stop(self) -> None:
        """Begin nothing new."""
        self.stopping = True
        for backlog in self._intake.backlogs.values():
            backlog.changed.set()

    async def _run(self, backlog: Backlog) -> None:
        workers = Workers(backlog.kind, backlog.slow, backlog.changed.set)
        name = backlog.kind.kind
        depth, active = self._metrics.depth.labels(name), self._metrics.active.labels(name)
        try:
            while not self.stopping:
                backlog.changed.clear()
                now = self._monotonic()
                work = backlog.queue.take(now=now) if workers.free else None
                if work is not None:
                    workers.begin(work.key, self._process(backlog, work))
                    continue
                depth.set(len(backlog.queue))
                active.set(len(workers))
                pause = backlog.queue.next_due_s(now=now) if workers.free else None
                with suppress(TimeoutError):
                    await asyncio.wait_for(backlog.changed.wait(), pause)
            await workers.end(_STOP_GRACE_S)
        finally:
            workers.cancel()

    async def _process(self, backlog: Backlog, work: Work) -> None:
        """Reconcile one object; whatever happens, the queue goes on."""
        key = work.key
        self._metrics.waited.labels(key.kind).observe(work.waited_s)
        started_s = self._monotonic()
        result = "error"
        where = {"kind": key.kind, "namespace": key.namespace, "object": key.name}
        try:
            result = await self._reconcile(backlog, key)
            backlog.errors.pop(key, None)
        except TryLaterError as exc:
            backlog.unhindered.add(key)  # it was let through, and is again
            self._intake.add(key, Priority.CHANGE, exc.after_s)
            result = "requeue_after"
        except ConflictError as exc:
            _log.debug("changed meanwhile, started again: %s", exc, extra=where)
            result = await self._again(backlog, key)
        except KubeError as exc:
            _log.warning("the API server gave no usable answer: %s", exc, extra=where)
            self._later(backlog, key)
        except Exception as exc:  # noqa: BLE001 (our own mistake with one object must not stop the others)
            _log.exception("a reconcile failed unexpectedly", extra=where)
            await self._report_bug(backlog, key, exc)
        finally:
            backlog.queue.done(key, now=self._monotonic())
            self._metrics.reconciled(key.kind, result, self._monotonic() - started_s)

    async def _reconcile(self, backlog: Backlog, key: Key) -> str:
        body = self._cache.get(key)
        if body is None:
            return "success"
        kind = backlog.kind
        try:
            obj: Object[Any, Any] = parse_object(key.kind, body, kind.spec_type, kind.status_type)
        except ValidationError as exc:
            if is_deleting(body) and kind.may_go(body):
                await self._drop_finalizer(kind, key, body)
            else:
                await self._report_invalid(kind, key, body, exc)
            return "success"
        pause = held_back_s(obj, self._clock())
        if pause and key not in backlog.unhindered:
            self._intake.add(key, Priority.RETRY, pause)
            return "requeue_after"
        backlog.unhindered.discard(key)
        if obj.deleting:
            return await self._finalize(backlog, obj)
        if kind.finalizer and kind.finalizer not in finalizers(body):
            patched = await self._kube.patch_finalizers(body, key.kind, [*finalizers(body), kind.finalizer])
            obj = parse_object(key.kind, patched, kind.spec_type, kind.status_type)
        return await self._write(obj, await kind.reconcile(obj))

    async def _finalize(self, backlog: Backlog, obj: Object[Any, Any]) -> str:
        finalizer = backlog.kind.finalizer
        if finalizer is None or finalizer not in finalizers(obj.body):
            return "success"
        outcome = await backlog.kind.finalize(obj)
        if not isinstance(outcome, Finalized):
            return await self._write(obj, outcome)
        self._post(obj.body, outcome.notes)
        await self._drop_finalizer(backlog.kind, obj.key, self._cache.get(obj.key) or obj.body)
        return "success"

    async def _drop_finalizer(self, kind: Kind[Any, Any], key: Key, body: Body) -> None:
        left = [name for name in finalizers(body) if name != kind.finalizer]
        if left != finalizers(body):
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
        self._intake.wake(outcome.wake, Change(obj.key.kind, obj.body, obj.body))
        if conclusion.next_s is None:
            return "success"
        self._intake.add(obj.key, Priority.RETRY if outcome.failure else Priority.PERIODIC, conclusion.next_s)
        return "requeue_after"

    async def _again(self, backlog: Backlog, key: Key) -> str:
        """Start again from what the API server holds now."""
        try:
            body = await self._kube.read(key)
        except KubeError:
            self._later(backlog, key)
            return "error"
        if body is None:
            self._intake.forget(key)
            return "requeue"
        self._intake.seen(key.kind, body)
        if backlog.errors.get(key, 0) >= _CONFLICTS:
            # Nobody changes an object that often: something refuses us in a way that looks like a conflict.
            self._later(backlog, key)
            return "error"
        backlog.errors[key] = backlog.errors.get(key, 0) + 1
        backlog.unhindered.add(key)
        self._intake.add(key, Priority.CHANGE, backlog.kind.min_interval_s)
        return "requeue"

    def _later(self, backlog: Backlog, key: Key) -> None:
        backlog.errors[key] = failures = backlog.errors.get(key, 0) + 1
        backlog.unhindered.add(key)
        self._intake.add(key, Priority.RETRY, pause_s(Failure(FREE), failures, self._random))

    async def _report_bug(self, backlog: Backlog, key: Key, error: Exception) -> None:
        """Say in status that we failed, on what the API server holds: the cached status may lack what was begun."""
        kind = backlog.kind
        try:
            body = await self._kube.read(key)
            if body is None:
                self._intake.forget(key)
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
            self._later(backlog, key)

    async def _report_invalid(self, kind: Kind[Any, Any], key: Key, body: Body, error: ValidationError) -> None:
        """Say in status that this version does not understand the object; a changed object or version helps."""
        status, notes = conclude_unreadable(body, kind.finalizer, error, now=self._clock())
        if status != body.get("status"):
            await self._kube.apply_status(_status_body(key, status, body["metadata"]["resourceVersion"]))
        self._post(body, notes)

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
