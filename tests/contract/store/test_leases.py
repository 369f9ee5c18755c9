"""Leases: one holder at a time, whatever happens to the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from contract.store.conftest import Clock
from contract.store.leasing import age_leases
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.leases import Leases

LIFE = timedelta(seconds=30)
NAMES = [f"https://ehr.example/r4/{number}" for number in range(450)]


async def test_what_one_holds_no_other_gets(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    first, second = Leases(engine, "first", clock), Leases(other, "second", clock)
    assert await first.take(NAMES[:2], LIFE) == set(NAMES[:2])
    assert await second.take(NAMES[:3], LIFE) == {NAMES[2]}


async def test_of_many_who_take_at_once_each_lease_has_one_holder(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    holders = [Leases((engine, other)[number % 2], f"holder {number}", clock) for number in range(8)]
    taken = await asyncio.gather(*(holder.take(NAMES[::-1], LIFE) for holder in holders))
    assert sorted(name for names in taken for name in names) == sorted(NAMES)


async def test_a_lease_that_is_renewed_does_not_pass_on(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    first, second = Leases(engine, "first", clock), Leases(other, "second", clock)
    for _ in range(5):
        assert await first.take(NAMES[:1], LIFE) == {NAMES[0]}
        await age_leases(engine, 29)
        assert await second.take(NAMES[:1], LIFE) == set()


async def test_the_lease_of_one_who_died_passes_on_when_it_ends(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    first, second = Leases(engine, "first", clock), Leases(other, "second", clock)
    await first.take(NAMES[:1], LIFE)
    await age_leases(engine, 30)
    assert await second.take(NAMES[:1], LIFE) == {NAMES[0]}
    assert await first.take(NAMES[:1], LIFE) == set()


async def test_what_is_given_back_is_free_at_once_and_nothing_of_anothers_is(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    first, second, third = Leases(engine, "first", clock), Leases(other, "second", clock), Leases(other, "third", clock)
    await first.take(NAMES[:1], LIFE)
    await second.take(NAMES[1:2], LIFE)
    await first.release()
    assert await third.take(NAMES[:2], LIFE) == {NAMES[0]}


async def test_a_replica_whose_clock_is_fast_takes_no_lease_from_another(
    postgresql_engines: tuple[AsyncEngine, AsyncEngine], clock: Clock
) -> None:
    first, fast = postgresql_engines
    await Leases(first, "first", clock).take(NAMES[:1], LIFE)
    ahead = Leases(fast, "fast", lambda: clock() + timedelta(hours=1))
    assert await ahead.take(NAMES[:1], LIFE) == set()
    await ahead.forget_expired()
    assert await ahead.take(NAMES[:1], LIFE) == set()


async def test_a_replica_whose_clock_is_wrong_keeps_its_lease_no_longer_than_it_lives(
    postgresql_engines: tuple[AsyncEngine, AsyncEngine], clock: Clock
) -> None:
    slow, second = postgresql_engines
    await Leases(slow, "slow", lambda: clock() + timedelta(days=900)).take(NAMES[:1], LIFE)
    await age_leases(slow, 30)
    assert await Leases(second, "second", clock).take(NAMES[:1], LIFE) == {NAMES[0]}
