"""Running simulators of Entra ID, Graph and Teams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import httpx
import pytest
from contract.graph_stand_in.running import Clock, GraphStandIn, Starter
from contract.graph_stand_in.subscriber import Subscriber, subscribing

from ehr_sandbox.local_ca import LocalCA


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def graph_ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    return LocalCA.create(tmp_path_factory.mktemp("graph-ca"))


@pytest.fixture
async def subscriber(graph_ca: LocalCA) -> AsyncGenerator[Subscriber]:
    async with subscribing(graph_ca) as running:
        yield running


@pytest.fixture
async def start_graph(clock: Clock, graph_ca: LocalCA, subscriber: Subscriber) -> AsyncGenerator[Starter]:
    # The subscriber ends last: a server waits for connections that a client keeps.
    del subscriber
    async with AsyncExitStack() as resources:
        yield Starter(clock, graph_ca, resources)


@pytest.fixture
async def graph(start_graph: Starter) -> GraphStandIn:
    return await start_graph()


@pytest.fixture
def graph_http(graph: GraphStandIn) -> httpx.AsyncClient:
    return graph.http
