"""Nothing that the planner sends leaves after it makes sense, however long it was on its way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from contract.notify.desk import HOUR, MINUTE, NOON, Desk, phone_of
from contract.notify.endings import ended

from ehr_connector.store.deliveries import Deliveries, Report
from ehr_connector.store.send_state import State


async def does_not_arrive(desk: Desk, again_after: timedelta) -> None:
    """Let the newest text be reported as undelivered, to be tried again after a while."""
    report = Report((await desk.texts())[-1]["messageId"], State.FAILED, "4006", desk.clock())
    await Deliveries(desk.engines[0], desk.clock).write(report, again_after)


@pytest.mark.parametrize("status", ["booked", "noshow", "fulfilled", "arrived"])
async def test_a_confirmation_that_did_not_arrive_is_not_repeated_once_it_is_of_no_use(desk: Desk, status: str) -> None:
    visit = desk.book(NOON + HOUR)
    worker = desk.worker()
    await desk.work(worker)
    # The visit ends after an hour and a half, and its link hours later.
    await does_not_arrive(desk, timedelta(minutes=100 if status == "booked" else 65))
    await desk.pass_(worker, HOUR, every=HOUR / 4)
    desk.appointments[visit] |= {"status": status}
    await desk.pass_(worker, 2 * HOUR, every=5 * MINUTE)

    assert await desk.by_phone() == {phone_of(visit): 1}


async def test_a_cancellation_that_did_not_arrive_is_repeated_while_the_visit_would_have_lasted(desk: Desk) -> None:
    visit = desk.book(NOON + HOUR)
    worker = desk.worker()
    await desk.work(worker)
    desk.cancel(visit)
    await desk.work(worker)
    await does_not_arrive(desk, 70 * MINUTE)
    await desk.pass_(worker, 2 * HOUR, every=5 * MINUTE)

    assert ["is cancelled" in text["message"] for text in await desk.texts()] == [False, True, True]


@pytest.mark.parametrize(
    ("booked_for", "passes", "occasion"), [(2 * HOUR, HOUR, "reminder"), (HOUR / 4, 45 * MINUTE, "booking")]
)
async def test_what_comes_too_late_while_the_patient_is_read_is_not_sent(
    desk: Desk, booked_for: timedelta, passes: timedelta, occasion: str
) -> None:
    desk.book(NOON + booked_for)
    worker = desk.worker()
    if occasion == "reminder":
        await desk.work(worker)
        desk.clock.at += booked_for - HOUR
    before = len(await desk.texts())

    def slow(step: str) -> None:
        if step == "after the patient was read":
            desk.clock.at += passes

    desk.trouble.at = slow
    await desk.work(worker)

    assert len(await desk.texts()) == before
    assert (await ended(desk))[-1] == (occasion, "not_sent", "visit_over")
