"""Fixtures: a hospital, once on each sort of database where that matters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from contract.connector.postgresql import PostgreSql, running_postgresql
from contract.visits.launching import Hospital
from contract.visits.world import World, running_world

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


@pytest.fixture
async def world(tmp_path: Path, ca: LocalCA) -> AsyncGenerator[World]:
    """A hospital whose connector keeps its data in SQLite."""
    async with running_world(tmp_path, ca, f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[World]:
    """A hospital for all tests of a module, which bring patients and clinicians of their own."""
    work = tmp_path_factory.mktemp("clinic")
    async with running_world(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}") as running:
        yield running


@pytest.fixture
async def replicated(tmp_path: Path, ca: LocalCA, postgresql: PostgreSql) -> AsyncGenerator[World]:
    """A hospital whose connector may have replicas."""
    with postgresql.database() as url:
        async with running_world(tmp_path, ca, url) as running:
            yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[Hospital]:
    """One hospital for all launches: none of them leaves anything behind."""
    work = tmp_path_factory.mktemp("launches")
    async with running_world(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}") as world:
        patient = await world.patient()
        yield Hospital(world, patient, await world.book(patient))


@pytest_asyncio.fixture(loop_scope="module")
async def hospital(standing: Hospital) -> AsyncGenerator[Hospital]:
    """The hospital, undisturbed, and afterwards as it was."""
    yield standing
    await standing.world.undisturb()
