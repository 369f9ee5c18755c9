"""A block that one replica at a time is in: who waits or stays too long is sent away, and what it did stands."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from contract.store.conftest import Clock
from contract.store.leasing import age_leases
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.leases import Leases
from ehr_connector.store.mutex import Mutex
from ehr_connector.store.schema import lease

NAME = "meeting v"


async def leases(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(lease))).scalar_one()


async def test_replicas_are_in_the_block_one_after_the_other(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    seen: list[str] = []

    async def enter(mutex: Mutex) -> None:
        async with mutex.held(NAME):
            seen.append("in")
            await asyncio.sleep(0.02)
            seen.append("out")

    await asyncio.gather(*(enter(Mutex(one, clock)) for one in (engine, other)))
    assert seen == ["in", "out"] * 2
    assert await leases(engine) == 0


async def test_who_waits_too_long_is_sent_away(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    async with Mutex(engine, clock).held(NAME):
        with pytest.raises(TimeoutError):
            async with Mutex(other, clock, longest_s=0.05).held(NAME):
                raise AssertionError


async def test_who_stays_too_long_is_ended_and_lets_the_next_one_in(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    with pytest.raises(TimeoutError):
        async with Mutex(engine, clock, longest_s=0.2).held(NAME):
            await asyncio.Event().wait()
    async with Mutex(other, clock, longest_s=5).held(NAME):
        assert await leases(engine) == 1


async def test_a_lease_that_cannot_be_given_back_hides_no_error_of_the_block(engine: AsyncEngine, clock: Clock) -> None:
    async def block() -> None:
        async with Mutex(engine, clock).held(NAME):
            async with engine.begin() as connection:
                await connection.execute(text("DROP TABLE lease"))
            raise KeyError("the block's own")

    with pytest.raises(KeyError, match="the block's own"):
        await block()


async def test_leases_of_the_dead_are_forgotten_once_they_expired(engine: AsyncEngine, clock: Clock) -> None:
    await Leases(engine, "dead", clock).take([NAME], timedelta(seconds=30))
    living = Leases(engine, "living", clock)
    await living.forget_expired()
    assert await leases(engine) == 1
    await age_leases(engine, 31)
    await living.forget_expired()
    assert await leases(engine) == 0
