"""What waits is told by workers and read by others: the newest telling counts, and what is old counts no more."""

from __future__ import annotations

import asyncio

from contract.store.conftest import Clock
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.held_messages import Endpoint, HeldMessages
from ehr_connector.store.schema import held_message

TEST, PRODUCTION = ("lamna", "lamna", "test"), ("lamna", "lamna", "production")
OTHER = ("lamna", "other", "test")


async def rows(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(held_message))).scalar_one()


async def test_the_counts_of_an_organisation_are_those_of_its_endpoints_together(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    first, second = HeldMessages(engine, clock), HeldMessages(other, clock)
    await first.tell({TEST: {"quiet_hours": 3, "no_sender": 1}, OTHER: {"quiet_hours": 9}})
    await second.tell({PRODUCTION: {"quiet_hours": 40}})

    assert await first.of("lamna", "lamna") == {"no_sender": 1, "quiet_hours": 43}
    assert await second.of("lamna", "other") == {"quiet_hours": 9}
    assert await second.of("other", "lamna") == {}


async def test_what_waits_no_more_is_told_no_more(engine: AsyncEngine, clock: Clock) -> None:
    counts = HeldMessages(engine, clock)
    await counts.tell({TEST: {"quiet_hours": 3, "no_sender": 1}, PRODUCTION: {"quiet_hours": 1}})
    await counts.tell({TEST: {"no_sender": 2}, PRODUCTION: {}})
    assert await counts.of("lamna", "lamna") == {"no_sender": 2}
    await counts.tell({})
    assert await rows(engine) == 0


async def test_what_a_dead_worker_told_counts_for_minutes_and_is_then_forgotten(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    await HeldMessages(engine, clock).tell({TEST: {"quiet_hours": 3}})
    living = HeldMessages(other, clock)
    clock.pass_(140)
    assert await living.of("lamna", "lamna") == {"quiet_hours": 3}
    clock.pass_(20)
    assert await living.of("lamna", "lamna") == {}
    await living.tell({})
    assert await rows(engine) == 0


async def test_what_stays_is_told_again_before_it_is_old(engine: AsyncEngine, clock: Clock) -> None:
    counts = HeldMessages(engine, clock)
    for _ in range(20):
        await counts.tell({TEST: {"quiet_hours": 3}})
        assert await counts.of("lamna", "lamna") == {"quiet_hours": 3}
        clock.pass_(20)


async def test_what_does_not_change_is_hardly_ever_written(engine: AsyncEngine, clock: Clock) -> None:
    written: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: written.append(str(call[2])))
    counts = HeldMessages(engine, clock)
    for _ in range(12):
        await counts.tell({TEST: {"quiet_hours": 3}})
        clock.pass_(5)

    assert len([statement for statement in written if statement.startswith("INSERT")]) == 1


async def test_an_endpoint_that_passed_on_keeps_what_its_new_worker_told(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    former, now = HeldMessages(engine, clock), HeldMessages(other, clock)
    await former.tell({TEST: {"quiet_hours": 3, "no_sender": 1}})
    clock.pass_(5)
    await now.tell({TEST: {"quiet_hours": 2}})
    await former.tell({})
    assert await now.of("lamna", "lamna") == {"quiet_hours": 2}


async def test_workers_of_many_endpoints_tell_at_once(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    many: dict[Endpoint, dict[str, int]] = {("lamna", "lamna", f"e-{n}"): {"quiet_hours": 1} for n in range(250)}
    await asyncio.gather(*(HeldMessages(one, clock).tell(many) for one in (engine, other)))
    assert await HeldMessages(engine, clock).of("lamna", "lamna") == {"quiet_hours": 250}
