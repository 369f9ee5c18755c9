"""What is due for a visit, case by case; and over any order of bookings, moves, cancellations and restarts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.connector.visiting import booked, site

from ehr_api.v1alpha1.messages import QuietHours
from ehr_connector.notify.planner.plan import (
    Due,
    Heard,
    Past,
    Plan,
    Reading,
    Wishes,
    is_missed,
    is_new,
    is_told_of,
    plan,
    until,
    wishes_of,
)
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel

NOON = datetime(2026, 11, 16, 18, tzinfo=UTC)
"""Noon in Chicago."""
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WISHES = Wishes(Channel.SMS, "America/Chicago", reminders=(DAY, HOUR))
UNKNOWN = Past()


def visit(start: datetime, status: str = "booked") -> Booking:
    """A visit of half an hour."""
    return booked(site(), start=start.isoformat(), end=(start + HOUR / 2).isoformat(), status=status)


def told(at: datetime, heard: Heard = Heard.THIS_TIME, *reminded: timedelta) -> Past:
    """A patient who was told."""
    return Past(heard, at, frozenset(reminded))


def chicago(day: int, hour: int, minute: int = 0) -> datetime:
    """A time on the clinic's clocks, in November."""
    return (
        datetime(2026, 11, day, hour + 6, minute, tzinfo=UTC)
        if hour < 18
        else NOON.replace(day=day + 1, hour=hour - 18, minute=minute)
    )


@pytest.mark.parametrize(
    ("past", "status", "new", "occasion"),
    [
        (UNKNOWN, "booked", True, Occasion.BOOKING),
        (told(NOON, Heard.ANOTHER_TIME), "booked", False, Occasion.CHANGE),
        (told(NOON, Heard.CANCELLATION), "booked", False, Occasion.BOOKING),
        (told(NOON), "cancelled", False, Occasion.CANCELLATION),
        (told(NOON, Heard.ANOTHER_TIME), "cancelled", False, Occasion.CANCELLATION),
        (told(NOON), "entered-in-error", False, Occasion.CANCELLATION),
        (told(NOON), "booked", False, None),
        (told(NOON, Heard.CANCELLATION), "cancelled", False, None),
        (UNKNOWN, "proposed", True, None),
        (UNKNOWN, "waitlist", True, None),
        (told(NOON), "fulfilled", False, None),
        (told(NOON), "noshow", False, None),
    ],
)
def test_a_patient_hears_what_is_new_and_nothing_else(
    past: Past, status: str, new: bool, occasion: Occasion | None
) -> None:
    found = plan(visit(NOON + 3 * DAY, status), past, WISHES, NOON + MINUTE, new=new)
    assert (found.due.occasion if found.due else None) == occasion
    assert not found.note


@pytest.mark.parametrize(
    ("past", "status", "new"),
    [(UNKNOWN, "booked", False), (UNKNOWN, "cancelled", True), (UNKNOWN, "arrived", True)],
    ids=["an old booking", "cancelled before anybody heard of it", "already here"],
)
def test_what_needs_no_message_is_noted(past: Past, status: str, new: bool) -> None:
    assert plan(visit(NOON + HOUR, status), past, WISHES, NOON, new=new) == Plan(note=True)


@pytest.mark.parametrize(
    ("wish", "past", "status"),
    [
        ("on_booking", UNKNOWN, "booked"),
        ("on_change", told(NOON, Heard.ANOTHER_TIME), "booked"),
        ("on_cancellation", told(NOON), "cancelled"),
    ],
)
def test_a_confirmation_that_is_not_wished_for_is_only_noted(wish: str, past: Past, status: str) -> None:
    wishes = replace(WISHES, **{wish: False})
    assert plan(visit(NOON + DAY, status), past, wishes, NOON, new=True) == Plan(note=True)


@pytest.mark.parametrize("status", ["booked", "cancelled"])
def test_nothing_is_said_after_the_visit(status: str) -> None:
    found = visit(NOON, status)
    for past in (UNKNOWN, told(NOON - DAY, Heard.ANOTHER_TIME), told(NOON - DAY)):
        assert plan(found, past, WISHES, found.end, new=True) == Plan()


def test_without_any_channel_nothing_is_due() -> None:
    assert plan(visit(NOON + DAY), UNKNOWN, replace(WISHES, channel=None), NOON, new=True) == Plan()


def test_reminders_go_out_at_their_times_and_each_once() -> None:
    found, past = visit(NOON + 2 * DAY), told(NOON)
    assert plan(found, past, WISHES, NOON) == Plan(next_at=NOON + DAY)
    due = plan(found, past, WISHES, NOON + DAY)
    assert due == Plan(due=Due(Occasion.REMINDER, NOON + DAY, DAY), next_at=found.start - HOUR)
    past = replace(past, reminded=frozenset({DAY}))
    assert plan(found, past, WISHES, NOON + DAY) == Plan(next_at=found.start - HOUR)
    assert plan(found, past, WISHES, found.start - HOUR).due == Due(Occasion.REMINDER, found.start - HOUR, HOUR)
    past = replace(past, reminded=frozenset({DAY, HOUR}))
    assert plan(found, past, WISHES, found.start - MINUTE) == Plan()


def test_a_late_booking_skips_the_reminders_that_have_passed() -> None:
    found = visit(NOON + 22 * HOUR)
    assert plan(found, told(NOON), WISHES, NOON) == Plan(next_at=found.start - HOUR)


def test_what_fell_due_while_nobody_worked_is_sent_late_and_only_the_last_of_several() -> None:
    found, past = visit(NOON + 2 * DAY), told(NOON)
    assert plan(found, past, WISHES, NOON + DAY + 3 * HOUR).due == Due(Occasion.REMINDER, NOON + DAY, DAY)
    due = plan(found, past, WISHES, found.start - HOUR / 2)
    assert due == Plan(due=Due(Occasion.REMINDER, found.start - HOUR, HOUR))
    assert plan(found, past, WISHES, found.start) == Plan()


def test_a_text_waits_for_the_end_of_the_quiet_hours() -> None:
    night = chicago(16, 22)
    made = plan(visit(chicago(18, 10)), UNKNOWN, WISHES, night, new=True)
    assert made == Plan(next_at=chicago(17, 8), waits=Due(Occasion.BOOKING, night))


def test_a_confirmation_goes_out_at_night_once_the_visit_can_be_joined() -> None:
    found, night = visit(chicago(17, 7)), chicago(16, 22)
    made = plan(found, UNKNOWN, WISHES, night, new=True)
    assert made == Plan(next_at=chicago(17, 6, 30), waits=Due(Occasion.BOOKING, night))
    assert plan(found, UNKNOWN, WISHES, chicago(17, 6, 30), new=True).due is not None


def test_what_could_only_be_said_after_the_visit_waits_until_then_and_is_not_said() -> None:
    found, night = visit(chicago(17, 7), "cancelled"), chicago(16, 23)
    made = plan(found, told(NOON), WISHES, night)
    assert made == Plan(next_at=found.end, waits=Due(Occasion.CANCELLATION, night))
    assert plan(found, told(NOON), WISHES, found.end) == Plan()


@pytest.mark.parametrize(
    ("due", "status", "past", "missed"),
    [
        (Due(Occasion.BOOKING, NOON), "booked", UNKNOWN, True),
        (Due(Occasion.BOOKING, NOON), "booked", told(NOON), False),
        (Due(Occasion.CHANGE, NOON), "noshow", told(NOON, Heard.ANOTHER_TIME), True),
        (Due(Occasion.CANCELLATION, NOON), "cancelled", told(NOON), True),
        (Due(Occasion.CANCELLATION, NOON), "cancelled", told(NOON, Heard.CANCELLATION), False),
        (Due(Occasion.REMINDER, NOON, HOUR), "booked", told(NOON), True),
        (Due(Occasion.REMINDER, NOON, HOUR), "booked", told(NOON, Heard.THIS_TIME, HOUR), False),
    ],
)
def test_what_waited_is_missed_once_the_visit_has_begun_unless_the_patient_knows(
    due: Due, status: str, past: Past, missed: bool
) -> None:
    found = visit(NOON + HOUR, status)
    assert is_missed(due, found, past, found.start) is missed
    assert not is_missed(due, found, past, found.start - MINUTE)


def test_email_knows_no_quiet_hours() -> None:
    by_email = replace(WISHES, channel=Channel.EMAIL)
    assert plan(visit(chicago(18, 10)), UNKNOWN, by_email, chicago(16, 22), new=True).due is not None


@pytest.mark.parametrize(
    ("choice", "start", "expected"),
    [
        ("SendAfter", chicago(18, 23), chicago(18, 8)),
        ("SendBefore", chicago(18, 23), chicago(17, 20, 45)),
        ("SendAfter", chicago(18, 7, 30), chicago(17, 20, 45)),
        ("SendAfter", chicago(18, 12), chicago(18, 9)),
    ],
    ids=["after", "before", "before, since the visit is earlier than the end", "not in quiet hours"],
)
def test_a_reminder_in_quiet_hours_goes_before_or_after_them(choice: str, start: datetime, expected: datetime) -> None:
    offset = {23: timedelta(hours=20), 7: HOUR, 12: 3 * HOUR}[
        start.astimezone(UTC).hour - 6 if start.astimezone(UTC).hour > 5 else 23
    ]
    hours = QuietHours.model_validate({"start": "21:00", "end": "08:00", "dueMessages": choice})
    wishes = replace(WISHES, reminders=(offset,), quiet_hours=hours)
    assert plan(visit(start), told(NOON), wishes, NOON).next_at == expected


def test_quiet_hours_are_on_the_clinics_clocks_when_these_change() -> None:
    night = datetime(2026, 11, 1, 4, tzinfo=UTC)  # 23:00 in Chicago, in the night when its clocks are put back
    later = plan(visit(night + 3 * DAY), UNKNOWN, WISHES, night, new=True)
    assert later.next_at == datetime(2026, 11, 1, 14, tzinfo=UTC)


def test_a_booking_is_new_only_if_it_was_not_there_at_the_last_reading() -> None:
    found = visit(NOON + DAY)
    reading = Reading(NOON - HOUR, NOON + 14 * DAY)
    assert is_new(found, reading, NOON)
    assert not is_new(found, None, NOON)
    assert not is_new(found, replace(reading, read_at=NOON - 25 * HOUR), NOON)
    assert not is_new(found, replace(reading, covered_until=found.start), NOON)


def test_texts_go_before_email_and_email_in_their_place() -> None:
    organization = site().organization
    sms, emails = organization.sms_notifications, organization.email_notifications
    assert sms is not None
    assert emails is not None
    on, off = {"enabled": True}, {"enabled": False}
    channels = [
        wishes_of(
            organization.model_copy(
                update={
                    "sms_notifications": sms.model_copy(update=one),
                    "email_notifications": emails.model_copy(update=other),
                }
            ),
            "UTC",
        ).channel
        for one, other in ((on, on), (on, off), (off, on), (off, off))
    ]
    assert channels == [Channel.SMS, Channel.SMS, Channel.EMAIL, None]


@dataclass
class Patient:
    """Gets the messages of one visit, from a sender that is driven by the plan."""

    now: datetime = NOON
    start: datetime = NOON + 3 * DAY
    status: str = "proposed"
    known: tuple[str, datetime] | None = None
    """What is written down: what the patient was told, and when."""
    reminded: set[tuple[datetime, timedelta]] = field(default_factory=set[tuple[datetime, timedelta]])
    got: list[tuple[Occasion, str, timedelta | None]] = field(
        default_factory=list[tuple[Occasion, str, timedelta | None]]
    )
    believes: str = "nothing"

    @property
    def truth(self) -> str:
        """What the patient should know."""
        return "cancelled" if self.status == "cancelled" else self.start.isoformat()

    @property
    def past(self) -> Past:
        """What a process reads of what is written down."""
        if self.known is None:
            return Past()
        what, at = self.known
        heard = (
            Heard.CANCELLATION if what == "cancelled" else Heard.THIS_TIME if what == self.truth else Heard.ANOTHER_TIME
        )
        return Past(heard, at, frozenset(offset for start, offset in self.reminded if start == self.start))

    def look(self) -> Plan:
        """Look once, and do what is due."""
        found = visit(self.start, self.status)
        made = plan(found, self.past, WISHES, self.now, new=True)
        if made.note:
            self.known = self.truth, self.now
        if made.due is not None:
            assert self.now < found.end
            assert made.due.since <= self.now
            self.got.append((made.due.occasion, self.truth, made.due.offset))
            self.believes = self.truth
            if made.due.offset is None:
                self.known = self.truth, self.now
            else:
                assert self.status == "booked"
                assert self.now < self.start
                self.reminded.add((self.start, made.due.offset))
        return made


STEPS = st.lists(
    st.tuples(st.sampled_from(["book", "move", "move back", "cancel", "arrive", "nothing"]), st.integers(0, 30 * 60)),
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, absences=st.lists(st.booleans(), min_size=14, max_size=14))
def test_in_any_order_of_events_and_absences_a_patient_knows_what_holds_and_hears_nothing_twice(
    steps: list[tuple[str, int]], absences: list[bool]
) -> None:
    patient = Patient()
    for (step, minutes), absent in zip(steps, absences, strict=False):
        _happens(patient, step)
        end = patient.now + timedelta(minutes=minutes)
        while not absent:  # nobody looks while the worker is away
            made = patient.look()
            if made.due is not None or made.note:
                assert patient.look() != made, "the same is due again at once"
                continue
            if made.next_at is None or made.next_at > end:
                break
            assert made.next_at > patient.now
            patient.now = made.next_at
        patient.now = end
    said = [one for one in patient.got if one[2] is None]
    assert all(before[1] != after[1] for before, after in pairwise(said)), "told the same twice"
    reminders = [one for one in patient.got if one[2] is not None]
    assert len(set(reminders)) == len(reminders)
    _settles(patient)


def _happens(patient: Patient, step: str) -> None:
    match step:
        case "book" if patient.status in {"proposed", "cancelled"}:
            patient.status = "booked"
        case "move" if patient.status == "booked":
            patient.start += 7 * HOUR
        case "move back" if patient.status == "booked":
            patient.start -= 7 * HOUR
        case "cancel" if patient.status == "booked":
            patient.status = "cancelled"
        case "arrive" if patient.status == "booked" and patient.now > patient.start - HOUR:
            patient.status = "arrived"
        case _:
            pass


def _settles(patient: Patient) -> None:
    """By noon the next day, long before the visit, whoever was told anything knows what holds."""
    patient.start = patient.start if patient.start > patient.now + 2 * DAY else patient.now + 3 * DAY
    patient.now += DAY
    for _ in range(4):
        made = patient.look()
        if made.next_at is not None and made.waits is not None:
            patient.now = made.next_at
    if patient.status == "booked" or (patient.status == "cancelled" and patient.believes != "nothing"):
        assert patient.believes == patient.truth


@pytest.mark.parametrize(
    ("occasion", "after"),
    [
        (Occasion.BOOKING, HOUR / 2),
        (Occasion.CHANGE, HOUR / 2),
        (Occasion.CANCELLATION, HOUR / 2),
        (Occasion.REMINDER, timedelta()),
    ],
)
def test_a_reminder_is_of_no_use_once_the_visit_begins_and_other_messages_once_it_is_over(
    occasion: Occasion, after: timedelta
) -> None:
    assert until(visit(NOON), occasion) == NOON + after


@pytest.mark.parametrize(
    ("status", "useful"),
    [
        ("booked", True),
        ("cancelled", True),
        ("entered-in-error", True),
        ("noshow", False),
        ("fulfilled", False),
        ("arrived", False),
        ("proposed", False),
    ],
)
def test_a_confirmation_is_repeated_of_what_is_booked_or_cancelled_and_not_over(status: str, useful: bool) -> None:
    found = visit(NOON, status)
    assert is_told_of(found, NOON + HOUR / 2 - MINUTE) is useful
    assert not is_told_of(found, NOON + HOUR / 2)
