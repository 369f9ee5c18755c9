"""Time that jumps, as in the tests of the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from unit.operator.fhir_endpoint.over_time.process import EndpointCluster, Running
from unit.operator.runtime.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of this folder in virtual time."""
    return {"virtual time": VirtualTimeLoop}


@pytest.fixture
def cluster() -> EndpointCluster:
    """The API server in memory, with the organisation in it."""
    return EndpointCluster()


@pytest.fixture
async def start(cluster: EndpointCluster) -> AsyncGenerator[Callable[[], Running]]:
    """Start operators, one after the other; each ends with the test."""
    started: list[Running] = []

    def begin() -> Running:
        started.append(Running(cluster))
        return started[-1]

    yield begin
    for running in started:
        await running.stop()
