"""Fixtures: an empty database of each sort, at the newest schema, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.connector.postgresql import PostgreSql, running_postgresql
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate


@dataclass
class Clock:
    """Time that passes when a test says so."""

    at: datetime = datetime(2026, 11, 18, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once of each sort."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}"
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """The database as one replica has it."""
    engine = open_database(database_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def other(engine: AsyncEngine, database_url: str) -> AsyncGenerator[AsyncEngine]:
    """The same database as another replica has it."""
    other = open_database(database_url)
    assert other is not engine
    yield other
    await other.dispose()


@pytest.fixture
def secret(tmp_path: Path, clock: Clock) -> SecretKeys:
    """Keys that seal already."""
    folder = tmp_path / "keys"
    new_keys(folder, clock() - timedelta(days=1))
    return SecretKeys(folder, clock)


@pytest.fixture
async def postgresql_engines(postgresql: PostgreSql) -> AsyncGenerator[tuple[AsyncEngine, AsyncEngine]]:
    """One PostgreSQL database as two replicas have it, for what SQLite's single writer cannot show."""
    with postgresql.database() as url:
        engines = open_database(url), open_database(url)
        await migrate(engines[0])
        yield engines
        for engine in engines:
            await engine.dispose()
