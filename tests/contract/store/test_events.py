"""The log of events: each once, in whatever replica, and none passed over by those who follow it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from contract.store.conftest import Clock
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.events import Events
from ehr_connector.store.schema import visit_event
from ehr_connector.visits.events import Channel, Kind, VisitEvent

VISIT, OTHER = "v" * 43, "w" * 43


def event(key: str, clock: Clock) -> VisitEvent:
    return VisitEvent(key, Kind.LINK_SENT, clock(), Channel.SMS.value)


async def test_an_event_that_is_told_again_is_there_once(engine: AsyncEngine, clock: Clock) -> None:
    events = Events(engine, clock)
    sent = event("sent", clock)
    assert await events.record(VISIT, [sent, sent]) == [sent]
    assert await events.record(VISIT, [sent]) == []
    assert await events.of(VISIT) == [sent]


async def test_the_same_key_of_another_visit_is_another_event(engine: AsyncEngine, clock: Clock) -> None:
    events = Events(engine, clock)
    await events.record(VISIT, [event("sent", clock)])
    assert len(await events.record(OTHER, [event("sent", clock)])) == 1


async def test_of_replicas_that_are_told_at_once_one_finds_it_new(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    replicas = [Events(engine, clock), Events(other, clock)] * 10
    new = await asyncio.gather(*(one.record(VISIT, [event("lobby", clock)]) for one in replicas))
    assert sorted(map(len, new)) == [0] * 19 + [1]


async def test_a_kind_that_a_newer_replica_wrote_is_passed_over(engine: AsyncEngine, clock: Clock) -> None:
    events = Events(engine, clock)
    await events.record(VISIT, [event("known", clock), event("new", clock)])
    async with engine.begin() as connection:
        await connection.execute(update(visit_event).where(visit_event.c.key == "new").values(kind="levitated"))
    assert [one.key for one in await events.of(VISIT)] == ["known"]
    assert [one.event.key for one in await events.since(0)] == ["known"]


async def test_another_replica_reads_what_was_told(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    following = Events(other, clock)
    before = await following.newest()
    await Events(engine, clock).record(VISIT, [event("a", clock), event("b", clock)])
    assert [one.event.key for one in await following.since(before)] == ["a", "b"]


async def test_an_event_whose_transaction_ends_late_is_not_passed_over(
    postgresql_engines: tuple[AsyncEngine, AsyncEngine], clock: Clock
) -> None:
    slow, fast = postgresql_engines
    events = Events(fast, clock)
    async with slow.connect() as connection:
        await Events(slow, clock).record_in(connection, VISIT, [event("early number", clock)])
        await events.record(VISIT, [event("late number", clock)])
        (seen,) = await events.since(0)
        assert seen.event.key == "late number"
        clock.pass_(5)
        await connection.commit()
    assert [one.event.key for one in await events.since(seen.number)] == ["early number", "late number"]
    clock.pass_(10)
    assert await events.since(seen.number) == []


async def test_a_time_comes_back_with_its_zone_to_the_microsecond(engine: AsyncEngine, clock: Clock) -> None:
    clock.at += timedelta(microseconds=123456)
    events = Events(engine, clock)
    await events.record(VISIT, [event("sent", clock)])
    (found,) = await events.of(VISIT)
    assert found.happened_at == clock()
    assert found.happened_at.utcoffset() == timedelta()
