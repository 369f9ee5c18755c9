"""PostgreSQL is waited for so long and no longer, but for migrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from contract.connector.postgresql import PostgreSql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store import migrate as migrate_module
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate, pending


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[AsyncEngine]:
    engine = open_database(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def short(url: str) -> str:
    """Return a URL with limits of its own."""
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}options=-c%20statement_timeout%3D200ms%20-c%20lock_timeout%3D100ms"


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
async def test_every_wait_on_postgresql_has_an_end(postgresql: PostgreSql, limit: str) -> None:
    with postgresql.database() as url:
        async with opened(url) as engine, engine.connect() as connection:
            assert (await connection.execute(text(f"SHOW {limit}"))).scalar_one() not in {"0", "0ms"}


async def test_limits_in_the_url_go_before_ours(postgresql: PostgreSql) -> None:
    with postgresql.database() as url:
        async with opened(short(url)) as engine, engine.connect() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT pg_sleep(5)"))


async def test_a_migration_waits_for_that_of_another_replica(
    postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "_LOCK", 7)
    with postgresql.database() as url:
        async with opened(short(url)) as engine, opened(url) as other:
            async with other.begin() as connection:
                await connection.execute(text("SELECT pg_advisory_xact_lock(7)"))
                waiting = asyncio.create_task(migrate(engine))
                await asyncio.sleep(0.5)
            await waiting
            assert not await pending(engine)
