"""Fixtures: call quality beside the simulator of Graph, on a database of each sort."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from contract.call_quality.running import Hospital, running_hospital
from contract.connector import conftest as connector
from contract.connector.teams import conftest as teams
from contract.graph_stand_in.running import GraphStandIn

from ehr_sandbox.local_ca import LocalCA

ca = connector.ca
postgresql = connector.postgresql
sqlite_url = connector.sqlite_url
database_url = connector.database_url
keys_dir = connector.keys_dir
resources = teams.resources
graph = teams.graph


@pytest.fixture
async def hospital(
    graph: GraphStandIn, ca: LocalCA, keys_dir: Path, database_url: str, resources: AsyncExitStack
) -> Hospital:
    """On a database of each sort."""
    return await resources.enter_async_context(running_hospital(graph, ca, keys_dir, database_url))


@pytest.fixture
async def small(
    graph: GraphStandIn, ca: LocalCA, keys_dir: Path, sqlite_url: str, resources: AsyncExitStack
) -> Hospital:
    """On SQLite, for what has nothing to do with the database."""
    return await resources.enter_async_context(running_hospital(graph, ca, keys_dir, sqlite_url))
