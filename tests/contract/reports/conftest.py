"""Fixtures: the databases and the clock of the store's tests, and what keeps and tells the reports."""

from __future__ import annotations

import pytest
from contract.reports.plays import Theatre
from contract.store import conftest as store
from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

clock = store.clock
postgresql = store.postgresql
database_url = store.database_url
engine = store.engine
other = store.other
postgresql_engines = store.postgresql_engines


@pytest.fixture
def theatre(engine: AsyncEngine, clock: Clock) -> Theatre:
    return Theatre(engine, clock)
