"""Fixtures: call quality beside the simulator of Graph, on a database of each sort."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.call_quality.running import Hospital, running_hospital
from contract.connector.postgresql import PostgreSql, running_postgresql
from contract.graph_stand_in.running import Clock, GraphStandIn
from contract.graph_stand_in.running import Starter as GraphStarter

from ehr_connector.keys.make import new_keys
from ehr_sandbox.local_ca import LocalCA


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    return LocalCA.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    with running_postgresql() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database, once of each sort."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    new_keys(folder, datetime.now(UTC) - timedelta(days=1))
    return folder


@pytest.fixture
async def resources() -> AsyncGenerator[AsyncExitStack]:
    async with AsyncExitStack() as resources:
        yield resources


@pytest.fixture
async def graph(ca: LocalCA, resources: AsyncExitStack) -> GraphStandIn:
    return await GraphStarter(Clock(), ca, resources)()


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
