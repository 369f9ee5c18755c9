"""Fixtures: a hospital whose organisation's tenant knows readers of reports."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from contract.reports_pages.reading import CALLBACK
from contract.visits.world import World, running_world

from ehr_sandbox.graph.world import EXAMPLE_CLIENT
from ehr_sandbox.local_ca import LocalCA


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    """The authority of everything that speaks TLS here."""
    return LocalCA.create(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def running_readers(work: Path, ca: LocalCA) -> AsyncGenerator[World]:
    """Run a hospital whose application takes its readers back."""
    async with running_world(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}") as running:
        uris = [f"{running.connector}/sign-in/callback", f"{running.connector}{CALLBACK}"]
        await running.control(running.graph, "PATCH", f"apps/{EXAMPLE_CLIENT}", json={"redirectUris": uris})
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hospital(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[World]:
    """A hospital for all tests of a module."""
    async with running_readers(tmp_path_factory.mktemp("hospital"), ca) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def world(hospital: World) -> AsyncGenerator[World]:
    """The hospital, undisturbed, and afterwards as it was."""
    yield hospital
    hospital.clock.ahead = timedelta()
    await hospital.control(hospital.graph, "PUT", "faults", json=[])
