"""What is due and waits: it is counted as long as it waits, and goes out as soon as nothing is against it any more."""

from __future__ import annotations

import pytest
from contract.notify.desk import DAY, HOUR, MINUTE, NOON, Desk, drain, phone_of, site
from contract.notify.endings import ended


async def test_a_message_over_the_cap_goes_out_as_soon_as_the_cap_is_raised(desk: Desk) -> None:
    visit = desk.book(NOON + 3 * DAY)
    worker = desk.worker()
    worker.reconfigured(site(caps={"perDay": 1, "perWeek": 100}))
    await desk.work(worker)
    desk.move(visit, NOON + 4 * DAY)
    await desk.pass_(worker, 3 * MINUTE)
    waiting = worker.held()
    worker.reconfigured(site())
    await drain(worker)

    assert waiting == {"over_daily_cap": 1}
    assert await desk.by_phone() == {phone_of(visit): 2}
    assert worker.held() == {}


async def test_a_change_of_the_configuration_counts_for_a_message_that_is_being_looked_at(desk: Desk) -> None:
    desk.site = site(caps={"perDay": 1, "perWeek": 100})
    visit = desk.book(NOON + 3 * DAY)
    worker = desk.worker()
    await desk.work(worker)
    desk.move(visit, NOON + 4 * DAY)

    def raised(step: str) -> None:
        if step == "after the patient was read":
            worker.reconfigured(site())

    desk.trouble.at = raised
    await desk.work(worker)

    assert await desk.by_phone() == {phone_of(visit): 2}


@pytest.mark.parametrize("consent", [{}, {"attendeesHaveConsented": True}])
async def test_consent_that_is_withdrawn_holds_what_is_due_before_anything_is_read_again(
    desk: Desk, consent: dict[str, bool]
) -> None:
    for _ in range(20):
        desk.book(NOON + 3 * DAY)
    worker = desk.worker()
    desk.read(worker)
    await worker.settle()
    while len(await desk.texts()) < 5:
        await worker.attend()
    worker.reconfigured(site(consent=consent))
    await drain(worker)

    assert (await desk.by_phone()).total() == 5
    assert worker.held() == {"no_consent": 15}


async def test_a_message_that_falls_due_in_quiet_hours_is_counted_until_it_goes_out(desk: Desk) -> None:
    # It is noon in Chicago.
    desk.site = site(quietHours={"start": "11:00", "end": "13:00"})
    visit = desk.book(NOON + 3 * DAY)
    worker = desk.worker()
    await desk.work(worker)
    waiting = worker.held()
    await desk.pass_(worker, HOUR, every=HOUR / 4)

    assert waiting == {"quiet_hours": 1}
    assert worker.held() == {}
    assert await desk.by_phone() == {phone_of(visit): 1}


async def test_what_waits_for_the_end_of_the_quiet_hours_and_is_not_wanted_any_more_is_not_counted(desk: Desk) -> None:
    desk.site = site(quietHours={"start": "11:00", "end": "13:00"})
    visit = desk.book(NOON + 3 * DAY)
    worker = desk.worker()
    await desk.work(worker)
    desk.cancel(visit)
    await desk.work(worker)

    assert worker.held() == {}
    assert await desk.texts() == []


async def test_a_message_that_waited_until_its_visit_is_over_is_written_down_with_its_reason(desk: Desk) -> None:
    desk.site = site(caps={"perDay": 1, "perWeek": 100}, reminders=["24h"])
    desk.book(NOON + 25 * HOUR)
    worker = desk.worker()
    await desk.work(worker)
    await desk.pass_(worker, 2 * HOUR, every=HOUR / 2)
    waiting = worker.held()
    # The cap of a day ends after 24 hours; nobody looks until the visit has begun.
    desk.clock.at = NOON + 25 * HOUR
    await desk.work(worker)
    await desk.pass_(worker, 2 * HOUR, every=HOUR)

    assert waiting == {"over_daily_cap": 1}
    assert worker.held() == {}
    assert await ended(desk) == [("booking", "accepted", None), ("reminder", "not_sent", "over_daily_cap")]


@pytest.mark.parametrize("arrives", [False, True])
async def test_a_booking_that_waited_for_a_day_is_written_down_as_not_sent(desk: Desk, arrives: bool) -> None:
    desk.site = site(sender=None)
    visit = desk.book(NOON + 9 * DAY)
    worker = desk.worker()
    await desk.work(worker)
    waiting = worker.held()
    if arrives:
        desk.appointments[visit] |= {"status": "arrived"}
    await desk.pass_(worker, 25 * HOUR, every=HOUR)
    worker.reconfigured(site())
    await desk.pass_(worker, HOUR, every=HOUR)

    assert waiting == {"no_sender": 1}
    assert worker.held() == {}
    assert await ended(desk) == [("booking", "not_sent", "no_sender")]
    assert await desk.texts() == []


async def test_a_cancellation_at_night_of_a_visit_at_dawn_is_written_down_as_not_sent(desk: Desk) -> None:
    visit = desk.book(NOON + 3 * HOUR)
    worker = desk.worker()
    await desk.work(worker)
    worker.reconfigured(site(quietHours={"start": "12:00", "end": "18:00"}))
    desk.clock.at += MINUTE
    desk.cancel(visit)
    await desk.work(worker)
    waiting = worker.held()
    await desk.pass_(worker, 4 * HOUR, every=HOUR / 2)

    assert waiting == {"quiet_hours": 1}
    assert worker.held() == {}
    assert await ended(desk) == [("booking", "accepted", None), ("cancellation", "not_sent", "quiet_hours")]


async def test_a_visit_that_is_held_after_all_at_another_time_is_told_though_a_message_was_missed(desk: Desk) -> None:
    desk.site = site(sender=None)
    visit = desk.book(NOON + 2 * HOUR)
    worker = desk.worker()
    await desk.work(worker)
    await desk.pass_(worker, 3 * HOUR, every=HOUR / 2)
    missed = await ended(desk)
    worker.reconfigured(site())
    desk.move(visit, NOON + 3 * DAY)
    await desk.work(worker)

    assert missed == [("booking", "not_sent", "no_sender")]
    assert await desk.by_phone() == {phone_of(visit): 1}


async def test_a_fault_of_one_message_is_logged_by_its_kind_alone_and_ends_no_other(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    visits = [desk.book(NOON + 2 * DAY) for _ in range(2)]
    broken = [f"cannot send to {phone_of(visits[0])}"]

    def breaks(step: str) -> None:
        if step == "before the call" and broken:
            raise ValueError(broken.pop())

    desk.trouble.at = breaks
    worker = desk.worker()
    await desk.work(worker)

    assert (await desk.by_phone()).total() == 1
    assert "failed: ValueError" in caplog.text
    assert "+1214" not in caplog.text
