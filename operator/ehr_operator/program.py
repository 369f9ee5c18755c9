"""The running operator: what is started in which order, and what ends it."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ehr_operator.kinds import INDEXES, PLURALS, build_kinds
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.controller import Controller
from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.kube import Kube, KubeError, NotFoundError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.server import serve
from ehr_operator.runtime.watch import Watch
from ehr_operator.settings import Settings

_log = logging.getLogger(__name__)

_FIRST_RELIST_S = 30.0
"""What was deleted between our first list and the watch's is found this soon."""
_LIST_RETRY_S = 2.0
_EVENTS_S = 3.0
"""At the end, Events that wait are posted for this long."""


@dataclass
class Health:
    """What the probes tell."""

    waiting_for: str | None = "the first list of all objects"
    watch: Watch | None = field(default=None, repr=False)

    def live(self) -> str | None:
        """Return why the process is of no use any more."""
        return "the watches have ended" if self.watch is not None and not self.watch.alive else None

    def ready(self) -> str | None:
        """Return what is waited for."""
        return self.waiting_for or self.live()


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        OSError: The address of the health server cannot be had.
        ExceptionGroup: The watches or a task of ours broke down: the process must end and be started anew.
    """
    metrics = Metrics()
    health = Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            serve(settings.host, settings.port, live=health.live, ready=health.ready, registry=metrics.registry)
        )
        cache = Cache(INDEXES)
        kube = Kube(PLURALS, metrics)
        stack.push_async_callback(kube.close)
        kinds = await stack.enter_async_context(build_kinds(settings, kube, cache, _now))
        recorder = Recorder(kube, metrics, _now, time.monotonic)
        controller = Controller(kinds, kube, cache, recorder, metrics, _now, random=random.random)
        kube.on_write = controller.seen
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, controller.stop)
        if await _first_list(kube, controller, health):
            watch = Watch(PLURALS, controller.seen, controller.gone)
            stack.push_async_callback(watch.stop)
            await _reconcile(controller, kube, recorder, watch, health, settings.relist_seconds)
    _log.info("stopped")


async def _first_list(kube: Kube, controller: Controller, health: Health) -> bool:
    """List every kind, however long the API server or the CRDs are in coming; False when we are told to stop first."""
    while not controller.stopping:
        try:
            await _list(kube, controller)
        except KubeError as exc:
            missing = "; are the CRDs applied (kubectl apply -k crds)?" if isinstance(exc, NotFoundError) else ""
            health.waiting_for = f"the first list of all objects: {exc}{missing}"
            _log.warning("waiting for %s", health.waiting_for)
            await asyncio.sleep(_LIST_RETRY_S)
        else:
            return True
    return False


async def _reconcile(
    controller: Controller, kube: Kube, recorder: Recorder, watch: Watch, health: Health, relist_s: float
) -> None:
    """Watch and reconcile until the controller is told to stop."""
    broken = watch.start()
    health.watch, health.waiting_for = watch, None
    _log.info("reconciling")
    async with asyncio.TaskGroup() as group:
        beside = [
            group.create_task(recorder.run(), name="post events"),
            group.create_task(_relist(kube, controller, relist_s), name="re-list"),
            group.create_task(_raise_from(broken), name="watch"),
        ]
        await controller.run()
        health.waiting_for = "the end: it was told to stop"
        with suppress(TimeoutError):
            await asyncio.wait_for(recorder.drain(), _EVENTS_S)
        for task in beside:
            task.cancel()


async def _relist(kube: Kube, controller: Controller, every_s: float) -> None:
    """List every kind again from time to time: no watch is trusted for ever."""
    pause_s = min(_FIRST_RELIST_S, every_s)
    while True:
        await asyncio.sleep(pause_s)
        pause_s = every_s * random.uniform(0.9, 1.1)  # noqa: S311 (spreads load)
        try:
            await _list(kube, controller)
        except KubeError as exc:
            _log.warning("the periodic list failed: %s", exc)


async def _list(kube: Kube, controller: Controller) -> None:
    for kind in PLURALS:
        controller.listed(kind, *await kube.list_all(kind))


async def _raise_from(broken: asyncio.Future[None]) -> None:
    """Raise what ended the watches."""
    await asyncio.shield(broken)


def _now() -> datetime:
    return datetime.now(UTC)
