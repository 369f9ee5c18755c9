"""When a message that meets quiet hours goes out, beside a second opinion that looks at one minute after the other."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.connector.visiting import booked, site

from ehr_api.v1alpha1.messages import QuietHours
from ehr_connector.notify.planner.plan import Due, Past, Plan, Wishes, plan
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel

MINUTE = timedelta(minutes=1)
ZONES = ("America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Etc/UTC")
MOMENTS = st.one_of(
    # Around changes of the clocks, and at any time of the year.
    st.integers(0, 3 * 24 * 60).map(lambda minutes: datetime(2026, 3, 7, tzinfo=UTC) + minutes * MINUTE),
    st.integers(0, 3 * 24 * 60).map(lambda minutes: datetime(2026, 10, 31, tzinfo=UTC) + minutes * MINUTE),
    st.integers(0, 365 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + minutes * MINUTE),
)
EVENING, MORNING = st.integers(17 * 60, 24 * 60 - 1), st.integers(4 * 60, 12 * 60)
"""Minutes of the day, away from the hour that a change of the clocks leaves out."""


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
@given(MOMENTS, st.integers(1, 40 * 60), st.sampled_from(ZONES), st.tuples(EVENING, MORNING))
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
