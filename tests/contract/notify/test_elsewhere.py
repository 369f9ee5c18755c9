"""A text wakes nobody: quiet hours are those of the clinic's clocks and of the clocks where the phone is at home."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from contract.notify.desk import DAY, HOUR, MINUTE, NOON, Desk, drain, site
from contract.notify.endings import ended

from ehr_connector.store.deliveries import Deliveries, Report
from ehr_connector.store.send_state import State

NIGHTS: dict[str, Any] = {"quietHours": {"start": "21:00", "end": "08:00"}, "reminders": ["24h"]}
NEW_YORK, HONOLULU, IDAHO = "+16465550123", "+18085550123", "+12085551234"
"""Idaho has two zones."""


def chicago(clock: str, day: int = 17) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day}T{clock}").replace(tzinfo=ZoneInfo("America/Chicago"))


def phone(number: str) -> list[dict[str, Any]]:
    return [{"system": "sms", "value": number, "use": "mobile"}]


@pytest.mark.parametrize(
    ("number", "booked", "goes_out"),
    [
        (NEW_YORK, "20:30", chicago("08:00", 18)),
        (NEW_YORK, "19:59", chicago("19:59")),
        (HONOLULU, "08:30", chicago("12:00")),
        (HONOLULU, "20:30", chicago("20:30")),
        (HONOLULU, "21:30", chicago("12:00", 18)),
        (IDAHO, "09:30", chicago("10:00")),
    ],
)
async def test_a_text_waits_until_it_is_day_at_the_clinic_and_at_the_phones_home(
    desk: Desk, number: str, booked: str, goes_out: datetime
) -> None:
    desk.site = site(**NIGHTS)
    desk.clock.at = chicago(booked) - MINUTE
    worker = desk.worker()
    await desk.work(worker)
    desk.clock.at = chicago(booked)
    visit = desk.book(NOON + 9 * DAY)
    desk.telecom[visit] = phone(number)
    await desk.work(worker)
    await desk.pass_(worker, goes_out - chicago(booked) - HOUR / 2, every=HOUR / 2)
    desk.clock.at = max(goes_out - MINUTE, chicago(booked))
    await desk.work(worker)
    early = len(await desk.texts())
    desk.clock.at = goes_out
    await desk.work(worker)

    assert early == (1 if goes_out == chicago(booked) else 0)
    assert len(await desk.texts()) == 1
    assert desk.patients_read <= 3  # nobody asks the EHR all night


async def test_a_text_that_waits_goes_out_when_the_visit_can_be_joined_and_never_after_it(desk: Desk) -> None:
    desk.site = site(**NIGHTS)
    desk.clock.at = chicago("09:00")
    worker = desk.worker()
    await desk.work(worker)
    held, dead = desk.book(chicago("10:30")), desk.book(chicago("10:00"))
    desk.telecom = {held: phone(HONOLULU), dead: phone(HONOLULU)}
    await desk.work(worker)
    waiting = worker.held()
    desk.clock.at = chicago("09:31")
    await desk.work(worker)
    first = await desk.texts()
    desk.clock.at = chicago("10:00")
    await desk.work(worker)

    assert waiting == {"quiet_hours": 2}
    assert len(first) == 1
    assert len(await desk.texts()) == 2


async def test_a_cancellation_that_waits_until_nobody_needs_it_is_written_down(desk: Desk) -> None:
    desk.site = site(**NIGHTS)
    desk.clock.at = chicago("08:30")
    visit = desk.book(chicago("09:00"))
    desk.telecom[visit] = phone(HONOLULU)
    worker = desk.worker()
    await desk.work(worker)
    desk.cancel(visit)
    await desk.pass_(worker, 2 * HOUR, every=10 * MINUTE)

    assert worker.held() == {}
    assert await ended(desk) == [("booking", "accepted", None), ("cancellation", "not_sent", "quiet_hours")]


async def test_a_visit_that_moves_while_its_text_waits_is_looked_at_again(desk: Desk) -> None:
    desk.site = site(**NIGHTS)
    desk.clock.at = chicago("08:30")
    visit = desk.book(NOON + 3 * DAY)
    desk.telecom[visit] = phone(HONOLULU)
    worker = desk.worker()
    await desk.work(worker)
    desk.move(visit, chicago("09:00"))
    await desk.work(worker)
    assert (await desk.by_phone()).total() == 1


async def test_other_quiet_hours_count_for_a_text_that_waits(desk: Desk) -> None:
    desk.site = site(**NIGHTS)
    desk.clock.at = chicago("08:30")
    desk.telecom[desk.book(NOON + 3 * DAY)] = phone(HONOLULU)
    worker = desk.worker()
    await desk.work(worker)
    worker.reconfigured(site())
    await drain(worker)
    assert (await desk.by_phone()).total() == 1


async def test_what_did_not_arrive_is_repeated_by_day(desk: Desk) -> None:
    desk.site = site(**NIGHTS)
    desk.clock.at = chicago("18:50")
    visit = desk.book(NOON + 3 * DAY)
    desk.telecom[visit] = phone(NEW_YORK)
    worker = desk.worker()
    await desk.work(worker)
    report = Report((await desk.texts())[-1]["messageId"], State.FAILED, "4006", desk.clock())
    desk.clock.at = chicago("20:05")
    await Deliveries(desk.engines[0], desk.clock).write(report, timedelta())
    await desk.pass_(worker, 11 * HOUR, every=20 * MINUTE)
    at_night, reads = len(await desk.texts()), desk.patients_read
    desk.clock.at = chicago("08:00", 18)
    await desk.work(worker)

    assert (at_night, reads) == (1, 2)
    assert len(await desk.texts()) == 2
