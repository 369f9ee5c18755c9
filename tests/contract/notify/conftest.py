"""Fixtures: a hospital that texts its patients, on each sort of database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from contract.connector.postgresql import PostgreSql, running_postgresql
from contract.notify.desk import DAY, NOON, Desk, running_desk
from contract.notify.texting import ready
from contract.visits.clinic import Clinic, running_clinic

from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate
from ehr_sandbox.local_ca import LocalCA


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    """The authority of everything that speaks TLS here."""
    return LocalCA.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """One server for all tests of a run."""
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
async def new_clinic(tmp_path: Path, ca: LocalCA) -> AsyncGenerator[Clinic]:
    """A hospital whose connector has not seen the EHR yet, and keeps its data in SQLite."""
    async with running_clinic(tmp_path, ca, f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}") as running:
        yield running


@pytest.fixture
async def clinic(new_clinic: Clinic) -> Clinic:
    """The same when it has read the EHR once, and sends from now on."""
    await ready(new_clinic)
    return new_clinic


@pytest.fixture
async def either_clinic(tmp_path: Path, ca: LocalCA, database_url: str) -> AsyncGenerator[Clinic]:
    """A hospital that sends, once on each sort of database."""
    async with running_clinic(tmp_path, ca, database_url) as running:
        await ready(running)
        yield running


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncGenerator[Desk]:
    """A desk that has read an EHR without bookings."""
    new_keys(tmp_path / "keys", NOON - DAY)
    engines = [open_database(database_url), open_database(database_url)]
    await migrate(engines[0])
    async with running_desk(engines, SecretKeys(tmp_path / "keys", lambda: datetime.now(UTC))) as found:
        await found.work(found.worker())
        yield found
    for engine in engines:
        await engine.dispose()
