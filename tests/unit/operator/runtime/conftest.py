"""Time that jumps, and an API server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.virtual_time import VirtualTimeLoop

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
