"""Whatever breaks, wherever: the provider takes each message once, and none is lost. On SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import count
from random import Random

import pytest
from contract.notify.desk import (
    ASKED_STEPS,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    OTHER_SENDER,
    SENDER,
    STEPS,
    Desk,
    KilledError,
    away,
    drain,
    killed_at,
    phone_of,
    site,
)
from contract.notify.outage import outage
from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.store.deliveries import Deliveries, Report
from ehr_connector.store.send_state import State


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("occasion", ["booking", "reminder"])
async def test_killed_at_any_step_a_message_is_sent_once(desk: Desk, step: str, occasion: str) -> None:
    visit = desk.book(NOON + 2 * DAY)
    first = desk.worker()
    if occasion == "reminder":
        await desk.work(first)
        desk.clock.at += DAY
    desk.trouble.at = killed_at(step).at
    with pytest.raises(KilledError):
        await desk.work(first)
    second = desk.worker()
    await desk.work(second)
    await desk.pass_(second, 2 * MINUTE)

    assert await desk.by_phone() == {phone_of(visit): 1 if occasion == "booking" else 2}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("change", ["moved", "cancelled"])
async def test_a_visit_that_changes_after_the_sender_died_is_told_as_it_is(desk: Desk, step: str, change: str) -> None:
    visit = desk.book(NOON + 2 * DAY)
    desk.trouble.at = killed_at(step).at
    with pytest.raises(KilledError):
        await desk.work(desk.worker())
    if change == "moved":
        desk.move(visit, NOON + 3 * DAY)
    else:
        desk.cancel(visit)
    second = desk.worker()
    await desk.work(second)
    await desk.pass_(second, 3 * MINUTE)
    texts = [text["message"] for text in await desk.texts()]

    told = ["is booked for" in texts[0]] if texts else []
    if step in ASKED_STEPS:
        assert told == [True]
        assert len(texts) == 2
    # Of what nobody can have heard, nothing needs to be taken back; what may have gone out is put right.
    assert len(texts) <= 2
    if change == "moved":
        assert "Nov 20" in texts[-1]
        assert sum("Nov 20" in text for text in texts) == 1
    elif texts:
        assert "is cancelled" in texts[-1]


@pytest.mark.parametrize("fault", ["lost answer", "cut", "500", "503", "429", "401"])
async def test_a_call_that_fails_is_repeated_and_the_text_comes_once(desk: Desk, fault: str) -> None:
    visits = [desk.book(NOON + 2 * DAY) for _ in range(6)]
    desk.faults = [fault, "", fault, fault]
    worker = desk.worker()
    await desk.pass_(worker, 4 * MINUTE, every=10 * MINUTE / 60)
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 1)
    assert worker.held() == {}


async def test_two_workers_that_both_believe_in_their_lease_send_each_message_once(desk: Desk) -> None:
    visits = [desk.book(NOON + 2 * DAY) for _ in range(40)]
    one, other = desk.worker(0), desk.worker(1)
    await asyncio.gather(desk.work(one), desk.work(other))
    await desk.pass_(one, 2 * MINUTE)
    desk.clock.at += DAY
    await asyncio.gather(desk.work(one), desk.work(other))
    await asyncio.gather(desk.pass_(one, 2 * MINUTE), desk.pass_(other, MINUTE))
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 2)


async def test_a_clock_that_jumps_doubles_nothing_and_loses_nothing(desk: Desk) -> None:
    visits = [desk.book(NOON + 2 * DAY + number * MINUTE) for number in range(5)]
    worker = desk.worker()
    await desk.work(worker)
    for jump in (30 * HOUR, -29 * HOUR, 47 * HOUR, -2 * HOUR, 20 * MINUTE):
        desk.clock.at += jump
        await desk.work(worker)
    worker = desk.worker()
    desk.clock.at = NOON + 47 * HOUR
    await desk.pass_(worker, 20 * MINUTE)
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 3)


@pytest.mark.parametrize("seed", range(3))
async def test_a_database_that_comes_and_goes_doubles_nothing_and_loses_nothing(desk: Desk, seed: int) -> None:
    dice = Random(seed)
    visits = [desk.book(NOON + 2 * DAY) for _ in range(10)]
    worker = desk.worker()
    desk.trouble.at = away(lambda: dice.random() < 0.2).at
    await desk.pass_(worker, 3 * MINUTE, every=MINUTE / 6)
    desk.trouble.at = lambda _step: None
    await desk.pass_(worker, 3 * MINUTE)
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 1)


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_database_that_is_gone_for_a_minute_from_any_statement_on_doubles_nothing_and_loses_nothing(
    desk: Desk, how: str
) -> None:
    visits: list[str] = []
    worker = desk.worker()
    with outage(desk.engines[0]) as database:
        for statement in count():
            visits.append(desk.book(NOON + 2 * DAY))
            database.goes_away(at=statement, after_it=how == "after")
            for _ in range(6):
                with suppress(SQLAlchemyError):
                    await desk.work(worker)
                desk.clock.at += MINUTE / 6
            was_away = database.comes_back()
            await desk.pass_(worker, 2 * MINUTE)
            if not was_away:
                break
    assert len(visits) > 8
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 1)
    assert worker.held() == {}


async def test_an_ehr_that_is_away_only_delays(desk: Desk) -> None:
    visit = desk.book(NOON + 2 * DAY)
    worker = desk.worker()
    desk.ehr_is_away = True
    await desk.pass_(worker, 3 * MINUTE)
    waiting, oldest_s = worker.held(), worker.oldest_due_s()
    desk.ehr_is_away = False
    await desk.pass_(worker, MINUTE)
    assert waiting == {"ehr_unavailable": 1}
    assert oldest_s >= 120
    assert worker.oldest_due_s() == 0
    assert await desk.by_phone() == {phone_of(visit): 1}


async def test_what_fell_due_while_nobody_held_the_lease_is_sent_while_it_makes_sense(desk: Desk) -> None:
    soon, later = desk.book(NOON + 25 * HOUR), desk.book(NOON + 40 * HOUR)
    await desk.work(desk.worker())
    desk.clock.at = NOON + 26 * HOUR
    await desk.work(desk.worker())
    assert await desk.by_phone() == {phone_of(soon): 1, phone_of(later): 2}


async def test_changes_in_the_middle_of_a_thousand_due_sends_lose_none_and_double_none(desk: Desk) -> None:
    visits = [desk.book(NOON + 2 * DAY) for _ in range(1000)]
    worker, calls = desk.worker(), count(1)
    changes = {
        300: site(sender=OTHER_SENDER),
        600: site(sender=OTHER_SENDER, reminders=["47h"], defaultLocale="es"),
    }

    def changing(step: str) -> None:
        if step == "after the call" and (changed := changes.get(next(calls))):
            worker.reconfigured(changed)
            desk.faults = ["lost answer"] * 5

    desk.trouble.at = changing
    desk.faults = ["", "lost answer"] * 10
    desk.read(worker)
    await worker.settle()
    for _ in range(30):
        await drain(worker, at_once=4)
        desk.clock.at += MINUTE / 6
    await desk.work(worker)

    texts = await desk.texts()
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 1)
    assert {text["from"] for text in texts} == {SENDER, OTHER_SENDER}
    assert {"is booked for" in text["message"] for text in texts} == {True, False}


async def test_a_message_that_may_be_with_the_provider_is_not_repeated_when_it_has_forgotten(desk: Desk) -> None:
    visit = desk.book(NOON + 4 * DAY)
    desk.trouble.at = killed_at("after the call").at
    with pytest.raises(KilledError):
        await desk.work(desk.worker())
    desk.clock.at += 13 * HOUR
    worker = desk.worker()
    await desk.work(worker)
    desk.clock.at = NOON + 3 * DAY
    await desk.work(worker)
    assert await desk.by_phone() == {phone_of(visit): 2}


async def test_a_database_from_an_old_backup_tells_nobody_twice_what_the_provider_remembers(desk: Desk) -> None:
    visit = desk.book(NOON + 2 * DAY)
    await desk.work(desk.worker())
    async with desk.engines[0].begin() as connection:
        for table in ("send", "notice"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")
    desk.clock.at += MINUTE
    worker = desk.worker()
    await desk.work(worker)
    assert await desk.by_phone() == {phone_of(visit): 1}


async def test_a_lost_database_texts_nobody_until_there_is_news(desk: Desk) -> None:
    visit = desk.book(NOON + 2 * DAY)
    await desk.work(desk.worker())
    async with desk.engines[0].begin() as connection:
        for table in ("send", "notice", "notice_reading"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")
    desk.clock.at += timedelta(days=1, hours=1)
    worker = desk.worker()
    await desk.work(worker)
    before = await desk.by_phone()
    desk.move(visit, NOON + 3 * DAY)
    await desk.work(worker)
    assert before == {phone_of(visit): 1}
    assert await desk.by_phone() == {phone_of(visit): 2}


async def test_a_booking_in_weeks_is_confirmed_and_those_that_come_near_are_not_confirmed_again(desk: Desk) -> None:
    old = desk.book(NOON + 20 * DAY)
    worker = desk.worker()
    await _read_all(desk, worker)
    new = desk.book(NOON + 20 * DAY)
    desk.clock.at += HOUR
    await _read_all(desk, worker)
    first = await desk.by_phone()
    desk.move(old, NOON + 21 * DAY)
    desk.cancel(new)
    await _read_all(desk, worker)
    second = await desk.by_phone()
    for _ in range(20):
        desk.clock.at += DAY / 2
        await _read_all(desk, worker)

    assert first == {phone_of(new): 1}
    assert second == {phone_of(new): 2, phone_of(old): 1}
    assert await desk.by_phone() == second


@pytest.mark.parametrize("occasion", ["booking", "reminder", "overtaken"])
async def test_what_did_not_arrive_is_tried_again_while_it_holds(desk: Desk, occasion: str) -> None:
    visit = desk.book(NOON + 2 * DAY)
    worker = desk.worker()
    await desk.work(worker)
    if occasion == "reminder":
        desk.clock.at += DAY
        await desk.work(worker)
    sent = await desk.texts()
    report = Report(sent[-1]["messageId"], State.FAILED, "4006", desk.clock())
    await Deliveries(desk.engines[0], desk.clock).write(report, 5 * MINUTE)
    if occasion == "overtaken":
        desk.move(visit, NOON + 3 * DAY)
    await desk.pass_(worker, 4 * MINUTE)
    early = await desk.texts()
    await desk.pass_(worker, 4 * MINUTE)
    texts = [text["message"] for text in await desk.texts()]

    if occasion == "overtaken":
        assert len(early) == len(texts) == 2
        assert "is now on" in texts[-1]
    else:
        assert len(early) == len(sent)
        assert texts == [*(text["message"] for text in sent), sent[-1]["message"]]


async def _read_all(desk: Desk, worker: EndpointNotices) -> None:
    await desk.work(worker)
    desk.read(worker, far=True)
    await worker.settle()
    await drain(worker)
