"""Time that jumps, and an API server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.virtual_time import VirtualTimeLoop
from unit.operator.runtime.widgets import WidgetKind

from ehr_operator.runtime.metrics import Metrics


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of this folder in virtual time."""
    return {"virtual time": VirtualTimeLoop}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def kube(metrics: Metrics) -> MemoryKube:
    return MemoryKube(metrics)


@pytest.fixture
def kind() -> WidgetKind:
    return WidgetKind()


@pytest.fixture
async def start(kube: MemoryKube, kind: WidgetKind) -> AsyncGenerator[Callable[[], Process]]:
    """Start processes of the operator, one after the other; the last is stopped at the end."""
    processes: list[Process] = []

    def begin() -> Process:
        processes.append(Process(kube, kind))
        return processes[-1]

    yield begin
    for process in processes:
        await process.stop()


@pytest.fixture
async def process(start: Callable[[], Process]) -> Process:
    """A running operator that has listed nothing yet, since there is nothing."""
    return start()
