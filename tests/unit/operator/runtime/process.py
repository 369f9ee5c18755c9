"""One process of the operator: controller, cache and watch on the API server in memory, in the loop's time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.widgets import START, WIDGET, WidgetKind

from ehr_operator.runtime.bodies import key_of
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.controller import Controller
from ehr_operator.runtime.events import Recorder
from ehr_operator.runtime.intake import Intake
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Clock, Note


def host_of(_kind: str, body: Body) -> str | None:
    """Widgets are measured at the host that their spec names, if any."""
    return body["spec"].get("host")


class Notes(Recorder):
    """Keeps what is to be posted."""

    posted: list[tuple[str, str]]
    types: list[str]
    """Of what is to be posted."""

    def __init__(self, kube: MemoryKube, metrics: Metrics, clock: Clock, monotonic: Callable[[], float]) -> None:
        super().__init__(kube, metrics, clock, monotonic)
        self.posted, self.types = [], []

    def post(self, body: Body, note: Note) -> None:
        self.posted.append((body["metadata"]["name"], note.reason))
        self.types.append("Warning" if note.warning else "Normal")


class Process:
    """It begins with a list, as the program does; the watch brings what comes after, a moment later."""

    def __init__(self, kube: MemoryKube, kind: WidgetKind) -> None:
        self._loop = asyncio.get_running_loop()
        self.kube = kube
        self.metrics = Metrics()
        self.cache = Cache({WIDGET: kind.indexes})
        self.events = Notes(kube, self.metrics, self.now, self._loop.time)
        self.intake = Intake([kind], self.cache, self.metrics, host_of=host_of, monotonic=self._loop.time)
        self.controller = Controller(
            self.intake,
            kube,
            self.cache,
            self.events,
            self.metrics,
            self.now,
            random=lambda: 1.0,
            monotonic=self._loop.time,
        )
        kube.on_write = self.intake.seen
        kube.on_change = self._watch
        self.relist()
        self._running = asyncio.create_task(self.controller.run())

    def now(self) -> Any:
        """The time of day."""
        return START + timedelta(seconds=self._loop.time())

    def relist(self) -> None:
        """List everything, as is done at the start and from time to time."""
        self.take_in(list(self.kube.bodies.values()), self.kube.version)

    def take_in(self, bodies: Sequence[Body], version: int) -> None:
        """Take in a complete list."""
        for body in bodies:
            self.intake.seen(WIDGET, body)
        self.intake.listed(WIDGET, {key_of(WIDGET, body) for body in bodies}, version)

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        self.controller.stop()
        await self._running

    async def killed(self) -> None:
        """End at once, as on SIGKILL."""
        self._running.cancel()
        await asyncio.wait([self._running])
        self._running = asyncio.create_task(asyncio.sleep(0))

    def reconciles(self, result: str) -> float:
        """How many reconciles ended like this."""
        labels = {"controller": WIDGET, "result": result}
        return self.metrics.registry.get_sample_value("controller_runtime_reconcile_total", labels) or 0.0

    def _watch(self, type_: str, body: dict[str, Any]) -> None:
        deliver = self.intake.gone if type_ == "DELETED" else self.intake.seen
        self._loop.call_later(0.001, deliver, WIDGET, body)
