"""Rows of the reports are what the log of events says, however and whenever it was told."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from contract.reports.plays import LENGTH, PLAYS, Theatre
from contract.store.conftest import Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.reports.ports import ConsumptionRow, Filters, VisitStatus
from ehr_connector.reports.refresh import Refresher
from ehr_connector.store.events import Events
from ehr_connector.store.report_rows import ReportRows
from ehr_connector.store.send_state import State
from ehr_connector.store.sends import Message, Sends
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.visits.events import Channel, Kind, VisitEvent

_numbers = count()


def figures(row: ConsumptionRow) -> tuple[object, ...]:
    return (row.status, row.duration_s, row.lobby_wait_s, row.attendees, row.brought_by)


async def taken(theatre: Theatre, row: VisitRow, channel: Channel, number: int) -> None:
    """Have the provider take a message about a visit."""
    digest = f"{theatre.namespace} {number}".ljust(43, "d")
    sends = Sends(theatre.engine, theatre.clock)
    claim = await sends.claim(
        Message(digest, row.visit, row.namespace, row.name, row.endpoint, "reminder", channel.value)
    )
    assert claim is not None
    await sends.end(claim, State.ACCEPTED, message_id=digest)


@pytest.mark.parametrize("play", PLAYS)
async def test_a_visit_has_the_row_that_its_play_asks_for(theatre: Theatre, clock: Clock, play: str) -> None:
    await theatre.play(play)
    clock.pass_(24 * 3600)
    await theatre.refresher.refresh()
    wanted = PLAYS[play]
    (row,) = await theatre.rows()
    assert figures(row) == (
        wanted.status,
        wanted.duration_s,
        wanted.lobby_wait_s,
        wanted.attendees,
        wanted.brought_by,
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_totals_equal_the_log_in_any_order_with_repetitions_and_readings_in_between(
    engine: AsyncEngine, data: st.DataObject
) -> None:
    """Each example is an organisation of its own in the same database."""
    clock = Clock()
    theatre = Theatre(engine, clock, namespace=f"example-{next(_numbers)}")
    sent: Counter[tuple[str, Channel]] = Counter()
    plays = data.draw(st.lists(st.sampled_from(sorted(PLAYS)), min_size=1, max_size=6))
    theatre.zones = {"south": "Pacific/Auckland"}
    departments, endpoints = st.sampled_from(["cardiology", "paediatrics"]), st.sampled_from(["north", "south"])
    told: list[tuple[str, VisitEvent]] = []
    for play in plays:
        begins = clock() - timedelta(days=data.draw(st.integers(2, 4)), hours=data.draw(st.integers(0, 23)))
        row = await theatre.book(play, begins, department=data.draw(departments), endpoint=data.draw(endpoints))
        if data.draw(st.booleans()):
            # What happened at the first time counts no more, but for links: they lead to the visit still. Who comes to another
            # call is another participant.
            first = PLAYS[data.draw(st.sampled_from(sorted(PLAYS)))].events(row.starts_at - timedelta(days=20))
            for one in first:
                if one.kind is not Kind.LINK_SENT:
                    who = one.participant and f"{one.participant} before"
                    told.append((row.visit, replace(one, key=f"{one.key} before", participant=who)))
            told.append((row.visit, VisitEvent("moved", Kind.MOVED, row.starts_at - timedelta(days=10))))
            row = await theatre.move(row, row.starts_at + timedelta(hours=data.draw(st.integers(0, 12))))
        told += [(row.visit, event) for event in PLAYS[play].events(row.starts_at)]
        for channel in data.draw(st.lists(st.sampled_from([Channel.SMS, Channel.EMAIL]), max_size=3)):
            sent[row.visit, channel] += 1
            await taken(theatre, row, channel, sent.total())
    again = data.draw(st.lists(st.sampled_from(told), max_size=10))
    order = data.draw(st.permutations([*told, *again, *[None] * data.draw(st.integers(0, 3))]))
    for one in order:
        if one is None:
            await theatre.refresher.refresh()
        else:
            await theatre.events.record(one[0], [one[1]])
        clock.pass_(data.draw(st.integers(0, 3600)))
    clock.pass_(24 * 3600)
    await theatre.refresher.refresh()

    ledger = [play for _, play in theatre.played.values()]
    summary = await theatre.queries.visit_summary(theatre.reader, theatre.always)
    assert summary.total == len(ledger)
    assert summary.by_status == Counter(play.status for play in ledger)
    assert summary.duration_s == sum(play.duration_s for play in ledger)
    assert summary.attendees == sum(play.attendees for play in ledger)
    assert summary.waits.count == sum(play.lobby_wait_s is not None for play in ledger)
    by_channel = {channel: sum(counts.values()) for channel, counts in summary.by_channel.items()}
    assert by_channel == Counter(play.brought_by for play in ledger)
    by_department = {name: sum(counts.values()) for name, counts in summary.by_department.items()}
    assert by_department == Counter(row.department for row, _ in theatre.played.values())
    booked = [row for row, _ in theatre.played.values()]
    by_endpoint = {name: sum(counts.values()) for name, counts in summary.by_endpoint.items()}
    assert by_endpoint == Counter(row.endpoint for row in booked)
    by_day = {day: sum(counts.values()) for day, counts in summary.by_day.items()}
    assert by_day == Counter(
        row.starts_at.astimezone(ZoneInfo(theatre.zones.get(row.endpoint, theatre.zone))).date() for row in booked
    )
    rows = await theatre.rows()
    assert Counter(row.day for row in rows) == by_day
    for row in rows:
        assert (row.sms_sent, row.emails_sent) == (sent[row.visit, Channel.SMS], sent[row.visit, Channel.EMAIL])
    assert (await theatre.queries.message_summary(theatre.reader, theatre.always)).total == sent.total()
    assert Counter(figures(row) for row in rows) == Counter(
        (play.status, play.duration_s, play.lobby_wait_s, play.attendees, play.brought_by) for play in ledger
    )


async def test_an_event_shows_in_the_row_after_the_next_reading(theatre: Theatre, clock: Clock) -> None:
    row = await theatre.book()
    whole = PLAYS["whole"].events(row.starts_at)
    await theatre.events.record(row.visit, whole[:8])
    clock.pass_(240)
    await theatre.refresher.refresh()
    assert [one.status for one in await theatre.rows()] == [VisitStatus.IN_PROGRESS]
    await theatre.events.record(row.visit, whole[8:])
    await theatre.refresher.refresh()
    assert [one.status for one in await theatre.rows()] == [VisitStatus.COMPLETED]


async def test_time_alone_makes_a_no_show_of_a_visit(theatre: Theatre, clock: Clock) -> None:
    await theatre.book()
    await theatre.refresher.refresh()
    assert [one.status for one in await theatre.rows()] == [VisitStatus.SCHEDULED]
    clock.pass_(LENGTH.total_seconds() - 1)
    assert await theatre.refresher.refresh() == 0
    clock.pass_(1)
    assert await theatre.refresher.refresh() == 1
    assert [one.status for one in await theatre.rows()] == [VisitStatus.NO_SHOW_BOTH]
    clock.pass_(90 * 24 * 3600)
    assert await theatre.refresher.refresh() == 0


async def test_it_shows_for_how_long_rows_are_due(theatre: Theatre, clock: Clock) -> None:
    rows = ReportRows(theatre.engine, clock)
    assert await rows.oldest_due_s() == 0
    await theatre.book()
    clock.pass_(90)
    await theatre.book()
    assert await rows.oldest_due_s() == 90
    await theatre.refresher.refresh()
    assert await rows.oldest_due_s() == 0
    clock.pass_(LENGTH.total_seconds())
    assert await rows.oldest_due_s() == 90


async def test_a_moved_visit_is_reported_at_its_new_time(theatre: Theatre, clock: Clock) -> None:
    row = await theatre.play("no clinician")
    later = row.starts_at + timedelta(days=7)
    clock.pass_(3600)
    await Visits(theatre.engine, clock).put(replace(row, starts_at=later, ends_at=later + LENGTH))
    await theatre.events.record(row.visit, [VisitEvent("moved", Kind.MOVED, clock())])
    await theatre.refresher.refresh()
    (found,) = await theatre.rows()
    assert (found.booked_start, found.day, found.status) == (later, later.date(), VisitStatus.SCHEDULED)


async def test_the_day_of_a_visit_is_that_of_the_clinic(theatre: Theatre) -> None:
    theatre.zone = "Pacific/Auckland"
    row = await theatre.book()
    assert row.starts_at.date() == date(2026, 11, 18)
    await theatre.refresher.refresh()
    summary = await theatre.queries.visit_summary(theatre.reader, theatre.always)
    assert list(summary.by_day) == [date(2026, 11, 19)]
    assert row.starts_at.astimezone(ZoneInfo(theatre.zone)).date() == date(2026, 11, 19)


async def test_an_event_that_comes_while_rows_are_made_is_not_lost(
    postgresql_engines: tuple[AsyncEngine, AsyncEngine], clock: Clock
) -> None:
    one, other = postgresql_engines
    theatre = Theatre(one, clock)
    row = await theatre.book()
    events = PLAYS["whole"].events(row.starts_at)
    clock.pass_(24 * 3600)
    async with other.connect() as connection:
        await Events(other, clock).record_in(connection, row.visit, events[:9])
        await theatre.refresher.refresh()
        assert [found.status for found in await theatre.rows()] == [VisitStatus.NO_SHOW_BOTH]
        await connection.commit()
    await theatre.events.record(row.visit, events[9:])
    await theatre.refresher.refresh()
    assert [figures(found)[:2] for found in await theatre.rows()] == [(VisitStatus.COMPLETED, 19 * 60)]


async def test_workers_that_make_rows_at_once_make_each_of_them(
    postgresql_engines: tuple[AsyncEngine, AsyncEngine], clock: Clock
) -> None:
    theatre = Theatre(postgresql_engines[0], clock)
    for number in range(150):
        await theatre.play(sorted(PLAYS)[number % len(PLAYS)])
    clock.pass_(24 * 3600)
    workers = [Refresher(ReportRows(engine, clock), theatre) for engine in postgresql_engines]
    done = 0
    while some := sum(await asyncio.gather(*(worker.refresh() for worker in workers))):
        done += some
    assert done >= 150
    found = Counter(row.status for row in await theatre.rows())
    assert found == Counter(play.status for _, play in theatre.played.values())


async def test_filters_choose_by_time_department_endpoint_and_environment(theatre: Theatre, clock: Clock) -> None:
    await theatre.play("whole")
    await theatre.play("whole", department="paediatrics")
    await theatre.play("whole", endpoint="south")
    await theatre.play("whole", environment="Test")
    await theatre.play("whole", clock() + timedelta(hours=1))
    await theatre.refresher.refresh()
    start, end = clock(), clock() + timedelta(hours=1)
    chosen = {
        "all": Filters(start, end),
        "department": Filters(start, end, departments=["paediatrics"]),
        "endpoint": Filters(start, end, endpoints=["south", "west"]),
        "environment": Filters(start, end, environments=["Test"]),
        "later": Filters(end, end + timedelta(hours=1)),
        "nothing": Filters(start, end, departments=["paediatrics"], environments=["Test"]),
    }
    found = {name: len(await theatre.rows(filters)) for name, filters in chosen.items()}
    assert found == {"all": 4, "department": 1, "endpoint": 1, "environment": 1, "later": 1, "nothing": 0}
    for filters in chosen.values():
        summary = await theatre.queries.visit_summary(theatre.reader, filters)
        assert summary.total == len(await theatre.rows(filters))
    choices = await theatre.queries.choices(theatre.reader)
    assert choices.departments == ["cardiology", "paediatrics"]
    assert (choices.endpoints, choices.environments) == (["north", "south"], ["Production", "Test"])


async def test_no_organisation_sees_anothers_visits(theatre: Theatre, clock: Clock) -> None:
    await theatre.play("whole", name="another")
    await Theatre(theatre.engine, clock, namespace="fabrikam").play("whole")
    await theatre.refresher.refresh()
    assert await theatre.rows() == []
    assert (await theatre.queries.visit_summary(theatre.reader, theatre.always)).total == 0
    assert (await theatre.queries.choices(theatre.reader)).departments == []


async def test_rows_of_more_than_a_page_come_in_order_and_each_once(theatre: Theatre, clock: Clock) -> None:
    await theatre.book_many(clock() + timedelta(minutes=number % 7) for number in range(1001))
    await theatre.refresher.refresh()
    rows = await theatre.rows()
    assert len({row.visit for row in rows}) == len(rows) == 1001
    assert [row.booked_start for row in rows] == sorted(row.booked_start for row in rows)


async def test_the_rate_of_no_shows_is_of_the_visits_that_were_due(theatre: Theatre, clock: Clock) -> None:
    for play in ("whole", "no patient", "no clinician", "nobody", "cancelled", "cancelled late"):
        await theatre.play(play)
    await theatre.book("nobody", clock() + timedelta(days=30))
    clock.pass_(24 * 3600)
    await theatre.refresher.refresh()
    assert (await theatre.queries.visit_summary(theatre.reader, theatre.always)).no_show_rate == 0.75
