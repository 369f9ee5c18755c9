"""A transaction whose task is cancelled: nothing of it stays, and nobody waits for it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for
from ehr_connector.store.schema import single_use

AFTER = datetime(2026, 11, 18, 16, tzinfo=UTC)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No help by the garbage collector, which comes when it likes."""
    gc.disable()
    yield
    gc.enable()


async def use(engine: AsyncEngine, token: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert_for(connection)(single_use).values(token=token, expires_at=AFTER))
        (await connection.execute(select(single_use).where(single_use.c.token == token))).one()


@pytest.mark.usefixtures("no_collection")
async def test_a_writer_that_is_cancelled_at_any_moment_keeps_nobody_waiting(engine: AsyncEngine) -> None:
    kept: list[object] = []
    for moment in range(60):
        task = asyncio.create_task(use(engine, f"cancelled-{moment}"))
        for _ in range(moment % 12):
            await asyncio.sleep(0)
        await asyncio.sleep(timedelta(microseconds=50 * moment).total_seconds())
        for _ in range(1 + moment % 2):
            task.cancel()
            await asyncio.sleep(0)
        kept += await asyncio.gather(task, return_exceptions=True)  # with the frames of its traceback
        async with asyncio.timeout(10):
            await use(engine, f"after-{moment}")
    assert any(isinstance(one, asyncio.CancelledError) for one in kept)
    assert any(one is None for one in kept)
