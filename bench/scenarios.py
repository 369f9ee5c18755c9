"""What bench/reconcile.py measures of each operator."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from api_server import ApiServer, is_looked_at
from contestants import Contestant
from endpoints import dead_server, endpoint, failing_server

from ehr_sandbox.demo.system import System

SCENARIOS = ("burst", "open-loop", "dead-tenth", "failing-tenth", "organization", "propagation")
RATE = 50.0
_LIMIT_S = 1800.0
_SETTLE_S = 2.0
_IDLE_SHARE = 0.05
_IDLE_PROBE_S = 1.0
_MOST_WITH_BAD = 900
_SHARE = 9
"""To so many good endpoints comes one that is not."""

Figures = dict[str, tuple[float, str]]
"""Value and unit, by name."""


@dataclass
class Bench:
    """One operator on one cluster."""

    api: ApiServer
    system: System
    contestant: Contestant
    size: int
    open_loop_s: float
    figures: Figures = field(default_factory=Figures)

    async def run(self, scenarios: Collection[str]) -> Figures:
        """Return what was measured."""
        for name, scenario in (
            ("burst", self._burst_update_restart),
            ("open-loop", self._open_loop),
            ("dead-tenth", self._dead_tenth),
            ("failing-tenth", self._failing_tenth),
        ):
            if name in scenarios:
                await scenario()
        return self.figures

    def note(self, name: str, value: float, unit: str) -> None:
        """Keep a figure."""
        self.figures[name] = (value, unit)
        print(f"  {self.contestant.name}: {name} {value:.2f} {unit}", file=sys.stderr)

    async def _burst_update_restart(self) -> None:
        namespace = await self._namespace("burst")
        names = [f"endpoint-{number:05}" for number in range(self.size)]
        async with self.api.watching(namespace, is_looked_at) as watch:
            creates = self._creates(namespace, range(self.size))
            await self._measured("create", creates, lambda: watch.until(names, 1, _LIMIT_S))
            self.note("memory_after_create", self.contestant.resident_mib(), "MiB")
            change = {"spec": {"validation": {"interval": "6m"}}}
            updates = [("PATCH", f"{namespace}/fhirendpoints/{name}", change) for name in names]
            await self._measured("update", updates, lambda: watch.until(names, 2, _LIMIT_S))
        self.note("memory_peak", self.contestant.peak_mib(), "MiB")
        before = await self.api.writes()
        began_s = time.monotonic()
        await self.contestant.restart()
        await asyncio.sleep(_SETTLE_S)
        await self._idle()
        self.note("restart_until_idle", time.monotonic() - began_s, "s")
        self.note("restart_cpu", self.contestant.cpu_s() * 1000 / self.size, "CPU ms an object")
        self.note("restart_api_writes", (await self.api.writes() - before) / self.size, "writes an object")
        self.note("restart_memory_peak", self.contestant.peak_mib(), "MiB")
        await self._clear(namespace)

    async def _measured(
        self, name: str, writes: list[tuple[str, str, dict[str, Any]]], reached: Callable[[], Any]
    ) -> None:
        """Send writes at once, and note how fast, at what cost and by how many API writes they are worked off."""
        before, cpu_s, began_s = await self.api.writes(), self.contestant.cpu_s(), time.monotonic()
        await self.api.at_once(writes)
        ended_s = await reached()
        self.note(f"{name}_speed", self.size / (ended_s - began_s), "objects a second")
        await asyncio.sleep(_SETTLE_S)  # what trails belongs to the cost
        self.note(f"{name}_cpu", (self.contestant.cpu_s() - cpu_s) * 1000 / self.size, "CPU ms an object")
        made = await self.api.writes() - before - len(writes)
        self.note(f"{name}_api_writes", made / self.size, "writes an object")

    async def _open_loop(self) -> None:
        namespace = await self._namespace("open-loop")
        numbers = range(int(RATE * self.open_loop_s))
        async with self.api.watching(namespace, is_looked_at) as watch:
            acknowledged = await self.api.at_rate(self._creates(namespace, numbers), RATE)
            names = [f"endpoint-{number:05}" for number in numbers]
            await watch.until(names, 1, _LIMIT_S)
            latencies = sorted(
                max(0.0, watch.at_s[name][1] - at_s) for name, at_s in zip(names, acknowledged, strict=True)
            )
        self.note("open_loop_p50", latencies[len(latencies) // 2], "s")
        self.note("open_loop_p99", latencies[int(len(latencies) * 0.99)], "s")
        await self._clear(namespace)

    async def _dead_tenth(self) -> None:
        async with dead_server() as port:
            await self._slowed_by("dead", port)

    async def _failing_tenth(self) -> None:
        async with failing_server(self.system.ca, self._beside_bad()[::_SHARE]) as port:
            await self._slowed_by("failing", port)

    def _beside_bad(self) -> range:
        return range(min(self.size, _MOST_WITH_BAD))

    async def _slowed_by(self, what: str, port: int) -> None:
        """Note how much longer the good endpoints take beside one bad in ten than alone."""
        numbers = self._beside_bad()
        names = [f"endpoint-{number:05}" for number in numbers]
        took_s: list[float] = []
        for label, bad in ((f"without-{what}", range(0)), (f"with-{what}", numbers[::_SHARE])):
            namespace = await self._namespace(label)
            writes: list[tuple[str, str, dict[str, Any]]] = []
            for number, write in zip(numbers, self._creates(namespace, numbers), strict=True):
                if number in bad:
                    body = endpoint(self.system.layout, namespace, number, bad_port=port)
                    writes.append(("POST", f"{namespace}/fhirendpoints", body))
                writes.append(write)
            async with self.api.watching(namespace, is_looked_at) as watch:
                began_s = time.monotonic()
                await self.api.at_once(writes)
                took_s.append(await watch.until(names, 1, _LIMIT_S) - began_s)
            await self._clear(namespace)
        self.note(f"slowed_by_{what}_tenth", took_s[1] / took_s[0], "times")

    def _creates(self, namespace: str, numbers: Iterable[int]) -> list[tuple[str, str, dict[str, Any]]]:
        layout = self.system.layout
        return [("POST", f"{namespace}/fhirendpoints", endpoint(layout, namespace, number)) for number in numbers]

    async def _namespace(self, label: str) -> str:
        name = f"{self.contestant.name.split(maxsplit=1)[0].lower()}-{label}-{self.size}"
        await self.system.kubectl("create", "namespace", name)
        return name

    async def _idle(self) -> None:
        """Wait until the operator rests."""
        while True:
            before_s = self.contestant.cpu_s()
            await asyncio.sleep(_IDLE_PROBE_S)
            if self.contestant.cpu_s() - before_s < _IDLE_SHARE * _IDLE_PROBE_S:
                return

    async def _clear(self, namespace: str) -> None:
        """Delete what a scenario made, and wait until the operator has taken that in."""
        await clear(self.api, self.system, namespace)
        await self._idle()


async def clear(api: ApiServer, system: System, namespace: str) -> None:
    """Delete the endpoints of a namespace; a peer that is gone may have left finalizers."""
    await api.http.delete(f"/apis/ehrconnector.io/v1alpha1/namespaces/{namespace}/fhirendpoints", timeout=300.0)
    await system.kubectl("delete", "namespace", namespace, "--wait=false")
