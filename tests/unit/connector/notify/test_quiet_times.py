"""When a message that meets quiet hours goes out, beside a second opinion that looks at one minute after the other."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from unit.connector.visiting import booked, site

from ehr_api.v1alpha1.messages import QuietHours
from ehr_connector.notify.planner.plan import Due, Past, Plan, Wishes, plan
from ehr_connector.notify.quiet import allowed_from, end_of_quiet, start_of_quiet
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel

MINUTE = timedelta(minutes=1)
ZONES = ("America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Etc/UTC")
MOMENTS = st.one_of(
    # Around changes of the clocks, and at any time of the year.
    st.integers(0, 3 * 24 * 60).map(lambda minutes: datetime(2026, 3, 7, tzinfo=UTC) + minutes * MINUTE),
    st.integers(0, 3 * 24 * 60).map(lambda minutes: datetime(2026, 10, 31, tzinfo=UTC) + minutes * MINUTE),
    st.integers(-180, 180).map(lambda minutes: datetime(2026, 11, 1, 7, tzinfo=UTC) + minutes * MINUTE),
    st.integers(-180, 180).map(lambda minutes: datetime(2026, 3, 8, 8, tzinfo=UTC) + minutes * MINUTE),
    st.integers(0, 365 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + minutes * MINUTE),
)
START, END = st.integers(17 * 60, 25 * 60).map(lambda minutes: minutes % (24 * 60)), st.integers(0, 12 * 60)
"""Minutes of the day, those among them that a change of the clocks leaves out or repeats."""


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def is_quiet(at: datetime, zone: str, start: int, end: int) -> bool:
    local = at.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    return start <= minute < end if start <= end else minute >= start or minute < end


def first_allowed(found: Booking, now: datetime, zone: str, hours: tuple[int, int]) -> datetime:
    """The first minute at which the text may go out: none is quiet once the visit can be joined, or is over."""
    at = now
    while at < min(found.end, found.closes_at):
        if at >= found.opens_at or not is_quiet(at, zone, *hours):
            break
        at += MINUTE
    return at


@settings(max_examples=300, deadline=None)
@given(MOMENTS, st.integers(1, 40 * 60), st.sampled_from(ZONES), st.tuples(START, END))
def test_a_confirmation_waits_for_the_first_minute_that_is_allowed_and_never_longer_than_the_visit(
    now: datetime, ahead: int, zone: str, hours: tuple[int, int]
) -> None:
    start = now + ahead * MINUTE
    found = booked(site(), start=start.isoformat(), end=(start + 30 * MINUTE).isoformat(), status="booked")
    wishes = Wishes(Channel.SMS, zone, quiet_hours=QuietHours(start=clock(hours[0]), end=clock(hours[1])))

    made: Plan = plan(found, Past(), wishes, now, new=True)

    expected = first_allowed(found, now, zone, hours)
    assert (made.due is not None) == (expected == now)
    if expected != now:
        assert (made.next_at, made.waits) == (expected, Due(Occasion.BOOKING, now))


def test_the_second_opinion_knows_what_night_is() -> None:
    assert is_quiet(datetime(2026, 7, 1, 3, tzinfo=UTC), "America/Chicago", 21 * 60, 8 * 60)
    assert not is_quiet(datetime(2026, 7, 1, 15, tzinfo=UTC), "America/Chicago", 21 * 60, 8 * 60)
    assert time.fromisoformat(clock(21 * 60 + 5)) == time(21, 5)


def test_in_the_hour_that_comes_twice_a_text_waits_for_the_second_end_and_no_day() -> None:
    second = datetime(2026, 11, 1, 7, 15, tzinfo=UTC)  # 1:15 in Chicago, once more
    hours = QuietHours(start="21:00", end="01:30")
    assert end_of_quiet(second, "America/Chicago", hours) == second + 15 * MINUTE


@settings(max_examples=300, deadline=None)
@given(MOMENTS, st.sampled_from(ZONES), st.tuples(START, END))
def test_quiet_hours_began_at_the_last_minute_before_which_it_was_not_quiet(
    now: datetime, zone: str, hours: tuple[int, int]
) -> None:
    assume(is_quiet(now, zone, *hours))
    expected = now
    while is_quiet(expected - MINUTE, zone, *hours):
        expected -= MINUTE
    assert start_of_quiet(now, zone, QuietHours(start=clock(hours[0]), end=clock(hours[1]))) == expected


@settings(max_examples=200, deadline=None)
@given(MOMENTS, st.lists(st.sampled_from(ZONES), max_size=3), st.tuples(START, END), st.integers(0, 40 * 60))
def test_over_several_zones_the_first_minute_counts_that_is_quiet_in_none_of_them(
    now: datetime, zones: list[str], hours: tuple[int, int], longest: int
) -> None:
    latest, expected = now + longest * MINUTE, now
    while expected < latest and any(is_quiet(expected, zone, *hours) for zone in zones):
        expected += MINUTE
    assert allowed_from(now, zones, QuietHours(start=clock(hours[0]), end=clock(hours[1])), latest) == expected
