"""Single use, rates, guest links and visits: what replicas do at once counts as if it came one after the other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.guests import GUESTS_MAX, Guests
from ehr_connector.store.rates import Limit, Rates
from ehr_connector.store.single_use import SingleUse
from ehr_connector.store.visits import Meeting, VisitRow, Visits
from ehr_connector.visits.meeting_digest import meeting_digest_of

TOKEN, VISIT = "t" * 43, "v" * 43
LIMIT = Limit(3, timedelta(minutes=1))


def row(clock: Clock) -> VisitRow:
    end = clock() + timedelta(minutes=30)
    return VisitRow(VISIT, "lamna", "lamna", "test", "Test", "sha256:" + "0" * 64, "d", "patient", clock(), end)


async def test_of_many_uses_at_once_one_is_the_first(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    replicas = [SingleUse(engine, clock), SingleUse(other, clock)] * 8
    first = await asyncio.gather(*(one.claim(TOKEN, clock() + timedelta(minutes=10)) for one in replicas))
    assert sorted(first) == [False] * 15 + [True]


async def test_what_expired_is_forgotten_and_nothing_else(engine: AsyncEngine, clock: Clock) -> None:
    uses = SingleUse(engine, clock)
    await uses.claim(TOKEN, clock() + timedelta(minutes=1))
    await uses.claim("u" * 43, clock() + timedelta(minutes=3))
    clock.pass_(120)
    await uses.forget_expired()
    assert await uses.claim(TOKEN, clock() + timedelta(minutes=1))
    assert not await uses.claim("u" * 43, clock() + timedelta(minutes=1))


async def test_a_limit_holds_across_replicas(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    replicas = [Rates(engine, clock), Rates(other, clock)] * 5
    waits = await asyncio.gather(*(one.take(TOKEN, LIMIT) for one in replicas))
    assert waits.count(None) == 3
    assert {wait for wait in waits if wait is not None} == {timedelta(minutes=1)}


async def test_a_limit_begins_anew_with_its_next_window(engine: AsyncEngine, clock: Clock) -> None:
    rates = Rates(engine, clock)
    waits = [await rates.take(TOKEN, LIMIT) for _ in range(4)]
    assert waits == [None, None, None, timedelta(minutes=1)]
    clock.pass_(60)
    assert await rates.take(TOKEN, LIMIT) is None
    clock.pass_(61)
    await rates.forget_expired()
    assert await rates.take(TOKEN, LIMIT) is None


async def test_guest_links_that_are_made_at_once_get_numbers_of_their_own(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    replicas = [Guests(engine, clock), Guests(other, clock)] * 4
    numbers = await asyncio.gather(*(one.add(VISIT, "guest") for one in replicas))
    assert sorted(number for number in numbers if number is not None) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_visit_has_no_more_guest_links_than_it_may(engine: AsyncEngine, clock: Clock) -> None:
    guests = Guests(engine, clock)
    made = [await guests.add(VISIT, "guest") for _ in range(GUESTS_MAX + 1)]
    assert made == [*range(1, GUESTS_MAX + 1), None]


async def test_a_revoked_guest_link_is_dead_and_the_others_live(engine: AsyncEngine, clock: Clock) -> None:
    guests = Guests(engine, clock)
    for kind in ("guest", "interpreter"):
        await guests.add(VISIT, kind)
    await guests.revoke(VISIT, 1)
    assert not await guests.is_alive(VISIT, 1, "guest")
    assert await guests.is_alive(VISIT, 2, "interpreter")
    assert not await guests.is_alive(VISIT, 2, "guest")


async def test_a_visit_that_is_moved_in_time_and_place_keeps_its_meeting(engine: AsyncEngine, clock: Clock) -> None:
    visits = Visits(engine, clock)
    meeting = Meeting("o" * 36, "m", "https://teams.example/j")
    first = await visits.put(row(clock))
    await visits.set_meeting(VISIT, meeting)
    changed = replace(first, starts_at=first.starts_at + timedelta(hours=1), location="21304876")
    moved = await visits.put(changed)
    assert moved == replace(changed, meeting=meeting)
    assert await visits.by_meeting_digest(meeting_digest_of(meeting.join_web_url)) == moved


async def test_a_meeting_that_somebody_else_recorded_stays(engine: AsyncEngine, clock: Clock) -> None:
    visits = Visits(engine, clock)
    first, second = (Meeting("o" * 36, name, f"https://teams.example/{name}") for name in ("m", "n"))
    await visits.put(row(clock))
    assert await visits.set_meeting(VISIT, first) == first
    assert await visits.set_meeting(VISIT, second) == first
    assert await visits.set_meeting(VISIT, second, instead_of=first) == second
    assert await visits.by_meeting_digest(meeting_digest_of(second.join_web_url)) == replace(row(clock), meeting=second)


async def test_replicas_that_record_a_visit_at_once_record_one(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    replicas = [Visits(engine, clock), Visits(other, clock)] * 5
    assert set(await asyncio.gather(*(one.put(row(clock)) for one in replicas))) == {row(clock)}
