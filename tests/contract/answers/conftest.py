"""Fixtures: Azurite with a queue for each test, and the simulator of messages that brings its events there."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from contract.acs_stand_in.running import AcsStarter
from contract.answers.answering import Desk, opened, utc_now
from contract.answers.queues import Queue
from contract.answers.texting_back import reading_clinic
from contract.connector.postgresql import PostgreSql, running_postgresql
from contract.notify.texting import ready
from contract.visits.clinic import Clinic
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate
from ehr_sandbox.local_ca import LocalCA


@pytest.fixture(scope="session")
def azurite() -> Iterator[httpx.URL]:
    """The address of a running queue service's account, with a signature."""
    command = [sys.executable, "-m", "ehr_sandbox", "azurite", "--queue", "first"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "Azurite did not start; it says why above"
            url = httpx.URL(address)
            yield url.copy_with(path=url.path.removesuffix("/first"))
        finally:
            process.terminate()


@pytest.fixture
def queue(azurite: httpx.URL) -> Iterator[Queue]:
    """An empty queue."""
    url = azurite.copy_with(path=f"{azurite.path}/test-{uuid.uuid4().hex}")
    httpx.put(url, trust_env=False).raise_for_status()
    yield Queue(str(url))
    httpx.delete(url, trust_env=False)


@pytest.fixture
async def start_acs() -> AsyncGenerator[AcsStarter]:
    async with AsyncExitStack() as resources:
        yield AcsStarter(resources)


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
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[AsyncEngine]:
    """An empty database, once of each sort."""
    with ExitStack() as stack:
        url = f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}"
        if request.param == "postgresql":
            server: PostgreSql = request.getfixturevalue("postgresql")
            url = stack.enter_context(server.database())
        engine = open_database(url)
        await migrate(engine)
        yield engine
        await engine.dispose()


@pytest.fixture
async def desk(engine: AsyncEngine, queue: Queue, ca: LocalCA, tmp_path: Path) -> AsyncGenerator[Desk]:
    """An organisation that texts, and reads what is answered."""
    new_keys(tmp_path / "keys", utc_now() - timedelta(days=1))
    async with AsyncExitStack() as resources:
        yield await opened(resources, engine, ca, SecretKeys(tmp_path / "keys", utc_now), queue, tmp_path)


@pytest.fixture
async def clinic(tmp_path: Path, ca: LocalCA, queue: Queue) -> AsyncGenerator[Clinic]:
    """A hospital that texts its patients, and reads what comes back."""
    async with reading_clinic(tmp_path, ca, queue) as running:
        await ready(running)
        yield running
