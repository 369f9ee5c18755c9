"""Fixtures: the simulator of Graph, and the connector's Teams meetings beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from contract.connector.teams_running import TeamsUnderTest, running_teams
from contract.graph_stand_in.running import Clock, GraphStandIn
from contract.graph_stand_in.running import Starter as GraphStarter

from ehr_sandbox.local_ca import LocalCA


@pytest.fixture
async def resources() -> AsyncGenerator[AsyncExitStack]:
    """What ends with the test, in the reverse order."""
    async with AsyncExitStack() as resources:
        yield resources


@pytest.fixture
async def graph(ca: LocalCA, resources: AsyncExitStack) -> GraphStandIn:
    """The simulator, to which a notification's receiver may speak."""
    return await GraphStarter(Clock(), ca, resources)()


@pytest.fixture
async def teams(
    graph: GraphStandIn, ca: LocalCA, keys_dir: Path, database_url: str, resources: AsyncExitStack
) -> TeamsUnderTest:
    """Meetings, once on a database of each sort."""
    return await resources.enter_async_context(running_teams(graph, ca, keys_dir, database_url))


@pytest.fixture
async def small_teams(
    graph: GraphStandIn, ca: LocalCA, keys_dir: Path, sqlite_url: str, resources: AsyncExitStack
) -> TeamsUnderTest:
    """Meetings on SQLite, for what has nothing to do with the database."""
    return await resources.enter_async_context(running_teams(graph, ca, keys_dir, sqlite_url))
