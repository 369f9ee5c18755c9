"""The running operator: what is started in which order, and what ends it."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from ehr_clients.limits import SPENDING_TIMEOUT_S
from ehr_operator.kinds import INDEXES, PLURALS, Looks, build_kinds, host_of
from ehr_operator.runtime.bodies import key_of
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.census import count_states
from ehr_operator.runtime.controller import Controller
from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.external import Calls
from ehr_operator.runtime.intake import Intake
from ehr_operator.runtime.kube import Kube, KubeError, NotFoundError
from ehr_operator.runtime.lease import Elector, Identity, elapsed_s
from ehr_operator.runtime.login import own_namespace
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Key
from ehr_operator.runtime.server import serve
from ehr_operator.runtime.watch import Watch
from ehr_operator.settings import Settings
from ehr_operator.views import ENDPOINT

_log = logging.getLogger(__name__)

_FIRST_RELIST_S = 30.0
"""What was deleted between our first list and the watch's is found this soon."""
_LIST_RETRY_S = 2.0
_EVENTS_S = 3.0
"""At the end, Events that wait are posted for this long."""
_LEASE = "ehr-operator"
_NAMESPACE = "ehr-system"


@dataclass
class Health:
    """What the probes tell."""

    waiting_for: str | None = "the first list of all objects"
    watch: Watch | None = field(default=None, repr=False)
    elector: Elector | None = field(default=None, repr=False)

    def live(self) -> str | None:
        """Return why the process is of no use any more."""
        return "the watches have ended" if self.watch is not None and not self.watch.alive else None

    def ready(self) -> str | None:
        """Return what is waited for. To stand by is to be ready; not to be able to take over is not."""
        return self.waiting_for or self.live() or (self.elector.obstacle if self.elector is not None else None)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        OSError: The address of the health server cannot be had.
        ExceptionGroup: The watches or a task of ours broke down, or the lease was lost: the process must end and be
            started anew.
    """
    metrics = Metrics()
    health = Health()
    cache, looks = Cache(INDEXES), Looks()

    def refresh() -> None:
        count_states(cache, metrics)
        looks.report(cache.bodies(ENDPOINT), metrics)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            serve(
                settings.host,
                settings.port,
                live=health.live,
                ready=health.ready,
                registry=metrics.registry,
                refresh=refresh,
            )
        )
        kube = Kube(PLURALS, metrics)
        stack.push_async_callback(kube.close)
        elector = health.elector = _elector(settings, kube, metrics)
        kinds = await stack.enter_async_context(
            build_kinds(settings, kube, cache, _now, _may_spend(elector), Calls(metrics), looks)
        )
        recorder = Recorder(kube, metrics, _now, time.monotonic)
        intake = Intake(kinds, cache, metrics, host_of=host_of)
        controller = Controller(intake, kube, cache, recorder, metrics, _now, random=random.random)
        kube.on_write = intake.seen
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, controller.stop)
        async with _election(elector, kube, intake):
            listed_at_s = await _first_list(kube, intake, controller, health)
            if listed_at_s is not None:
                watch = Watch(PLURALS, intake.seen, intake.gone)
                stack.push_async_callback(watch.stop)
                work = _Work(controller, intake, kube, recorder, watch, health, elector)
                await work.run(settings.relist_seconds, listed_at_s)
    _log.info("stopped")


def _elector(settings: Settings, kube: Kube, metrics: Metrics) -> Elector | None:
    if settings.leader_election == "disabled":
        return None
    namespace = own_namespace()
    # A pod's name is unique, and the kubelet starts a container again only after the old one is gone: a restarted
    # operator may take the lease up at once. Elsewhere nothing promises that, so each process has a name of its own.
    host = socket.gethostname()
    name = settings.identity or (host if namespace else f"{host}_{uuid4()}")
    return Elector(kube, settings.namespace or namespace or _NAMESPACE, _LEASE, Identity.of(name), metrics, _now)


def _may_spend(elector: Elector | None) -> Callable[[], None]:
    """Return the check before a call that spends: the lease must outlast the call."""

    def check() -> None:
        if elector is not None:
            elector.assert_leader(SPENDING_TIMEOUT_S)

    return check


@asynccontextmanager
async def _election(elector: Elector | None, kube: Kube, intake: Intake) -> AsyncGenerator[None]:
    """Compete for the lease during the block; when it is lost, the block is cancelled and nothing is written any more."""
    if elector is None:
        yield
        return
    intake.standing_by = True
    kube.before_write = elector.assert_leader
    async with asyncio.TaskGroup() as group:
        competing = group.create_task(elector.run(), name="leader election")
        # Most often nobody leads, and one list after the election is enough.
        await elector.tried.wait()
        yield
        competing.cancel()
    await elector.release()


async def _first_list(kube: Kube, intake: Intake, controller: Controller, health: Health) -> float | None:
    """List every kind, however long the API server or the CRDs are in coming.

    Returns when the list was begun, or None when we are told to stop first.
    """
    while not controller.stopping:
        began_s = elapsed_s()
        try:
            await _list(kube, intake)
        except KubeError as exc:
            missing = "; are the CRDs applied (kubectl apply -k crds)?" if isinstance(exc, NotFoundError) else ""
            health.waiting_for = f"the first list of all objects: {exc}{missing}"
            _log.warning("waiting for %s", health.waiting_for)
            await asyncio.sleep(_LIST_RETRY_S)
        else:
            return began_s
    return None


@dataclass(frozen=True, slots=True)
class _Work:
    """What goes on from the first list to the end."""

    controller: Controller
    intake: Intake
    kube: Kube
    recorder: Recorder
    watch: Watch
    health: Health
    elector: Elector | None

    async def run(self, relist_s: float, listed_at_s: float) -> None:
        """Watch, and reconcile when elected, until the controller is told to stop."""
        broken = self.watch.start()
        self.health.watch, self.health.waiting_for = self.watch, None
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self.recorder.run(), name="post events"),
                group.create_task(_relist(self.kube, self.intake, relist_s), name="re-list"),
                group.create_task(_raise_from(broken), name="watch"),
                group.create_task(self._lead(listed_at_s), name="lead when elected"),
            ]
            await self.controller.run()
            self.health.waiting_for = "the end: it was told to stop"
            with suppress(TimeoutError):
                await asyncio.wait_for(self.recorder.drain(), _EVENTS_S)
            for task in beside:
                task.cancel()

    async def _lead(self, listed_at_s: float) -> None:
        """Have the controller reconcile once elected, on a list that is younger than the last leader's last write."""
        if self.elector is None:
            _log.info("reconciling, without an election")
            return
        if not self.elector.elected.is_set():
            _log.info("standing by")
        await self.elector.elected.wait()
        while self.elector.elected_at_s is not None and listed_at_s < self.elector.elected_at_s:
            began_s = elapsed_s()
            try:
                await _list(self.kube, self.intake)
            except KubeError as exc:
                _log.warning("elected, but the list failed: %s", exc)
                await asyncio.sleep(_LIST_RETRY_S)
            else:
                listed_at_s = began_s
        self.intake.lead()
        _log.info("reconciling")


async def _relist(kube: Kube, intake: Intake, every_s: float) -> None:
    """List every kind again from time to time: no watch is trusted for ever."""
    pause_s = min(_FIRST_RELIST_S, every_s)
    while True:
        await asyncio.sleep(pause_s)
        pause_s = every_s * random.uniform(0.9, 1.1)  # noqa: S311 (spreads load)
        try:
            await _list(kube, intake)
        except KubeError as exc:
            _log.warning("the periodic list failed: %s", exc)


async def _list(kube: Kube, intake: Intake) -> None:
    for kind in PLURALS:
        await _list_kind(kube, intake, kind)


async def _list_kind(kube: Kube, intake: Intake, kind: str) -> None:
    keys: set[Key] = set()

    def take(body: Body) -> None:
        intake.seen(kind, body)
        keys.add(key_of(kind, body))

    version = await kube.list_all(kind, take)
    intake.listed(kind, keys, version)


async def _raise_from(broken: asyncio.Future[None]) -> None:
    """Raise what ended the watches."""
    await asyncio.shield(broken)


def _now() -> datetime:
    return datetime.now(UTC)
