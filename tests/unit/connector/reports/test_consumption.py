"""How a visit went: what its events say, whatever the order and number in which they are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_connector.reports.consumption import Booked, Course, course_of
from ehr_connector.reports.ports import BroughtBy, VisitStatus
from ehr_connector.visits.booking import VisitKind
from ehr_connector.visits.events import CANCELLED_BEFORE, Channel, DeviceTestResult, Kind, Side, VisitEvent

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
BOOKED = Booked(VisitKind.PATIENT, NOON, NOON + timedelta(minutes=30))
CONSULT = Booked(VisitKind.CONSULT, NOON, NOON + timedelta(minutes=30))
DAYS_AFTER = NOON + timedelta(days=3)


def event(kind: Kind, minute: float, code: str | None = None, who: str | None = None) -> VisitEvent:
    return VisitEvent(f"{kind} {minute} {who}", kind, NOON + timedelta(minutes=minute), code, who)


SENT = event(Kind.LINK_SENT, -60, Channel.SMS)
OPENED = event(Kind.OPENED, -5)
TESTED = event(Kind.DEVICE_TEST, -4, DeviceTestResult.PASSED)
JOINING = event(Kind.JOINING, -3)
LOBBY = event(Kind.IN_LOBBY, -2, who="p")
GOING = event(Kind.PROVIDER_JOINING, 0)
DOCTOR = event(Kind.IN_VISIT, 1, Side.PROVIDER, "d")
ADMITTED = event(Kind.IN_VISIT, 3, Side.PATIENT, "p")
LEFT = event(Kind.LEFT, 20, who="p")
DOCTOR_LEFT = event(Kind.LEFT, 21, who="d")
ENDED = event(Kind.CALL_ENDED, 22)
WHOLE = [SENT, OPENED, TESTED, JOINING, LOBBY, GOING, DOCTOR, ADMITTED, LEFT, DOCTOR_LEFT, ENDED]
CANCELLED = event(Kind.CANCELLED, -120)


def course(*events: VisitEvent, now: datetime = DAYS_AFTER, booked: Booked = BOOKED) -> Course:
    return course_of(booked, events, now)


def test_a_whole_visit_has_every_figure() -> None:
    assert course(*WHOLE) == Course(
        status=VisitStatus.COMPLETED,
        started_at=ADMITTED.happened_at,
        ended_at=DOCTOR_LEFT.happened_at,
        duration_s=18 * 60,
        lobby_wait_s=5 * 60,
        attendees=2,
        peak_attendees=2,
        brought_by=BroughtBy.SMS,
        device_test=DeviceTestResult.PASSED,
        changes_at=None,
    )


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], VisitStatus.NO_SHOW_BOTH),
        ([SENT], VisitStatus.NO_SHOW_BOTH),
        ([SENT, OPENED, TESTED], VisitStatus.NO_SHOW_BOTH),
        ([SENT, GOING, DOCTOR, DOCTOR_LEFT], VisitStatus.NO_SHOW_PATIENT),
        ([SENT, OPENED, JOINING, LOBBY, LEFT], VisitStatus.NO_SHOW_PROVIDER),
        ([JOINING, LOBBY, event(Kind.LEFT, 0.5, who="p"), GOING, DOCTOR, DOCTOR_LEFT], VisitStatus.HALF_JOINED),
        ([SENT, OPENED, JOINING], VisitStatus.TECHNICAL_FAILURE),
        ([SENT, OPENED, JOINING, GOING, DOCTOR, DOCTOR_LEFT], VisitStatus.TECHNICAL_FAILURE),
        ([OPENED, event(Kind.DEVICE_TEST, -4, DeviceTestResult.NO_CAMERA)], VisitStatus.TECHNICAL_FAILURE),
        ([JOINING, LOBBY, GOING, LEFT], VisitStatus.TECHNICAL_FAILURE),
        ([SENT, CANCELLED], VisitStatus.CANCELLED_LATE),
        ([SENT, event(Kind.CANCELLED, -25 * 60)], VisitStatus.CANCELLED),
        ([event(Kind.CANCELLED, -60, CANCELLED_BEFORE)], VisitStatus.CANCELLED),
        ([*WHOLE, event(Kind.CANCELLED, 60)], VisitStatus.COMPLETED),
        ([CANCELLED, event(Kind.MOVED, -100)], VisitStatus.NO_SHOW_BOTH),
        ([SENT, event(Kind.CANCELLED, -0.01)], VisitStatus.CANCELLED_LATE),
        ([SENT, event(Kind.CANCELLED, 0)], VisitStatus.NO_SHOW_BOTH),
        ([SENT, GOING, DOCTOR, event(Kind.CANCELLED, 15), DOCTOR_LEFT], VisitStatus.NO_SHOW_PATIENT),
        ([SENT, OPENED, JOINING, LOBBY, event(Kind.CANCELLED, 45)], VisitStatus.NO_SHOW_PROVIDER),
        ([event(Kind.CANCELLED, 600, CANCELLED_BEFORE)], VisitStatus.CANCELLED),
    ],
)
def test_a_visit_that_is_over_has_one_status(events: Sequence[VisitEvent], status: VisitStatus) -> None:
    assert course(*events).status is status


@given(told=st.integers(0, len(WHOLE)), data=st.data())
def test_order_and_repetition_change_nothing(told: int, data: st.DataObject) -> None:
    in_order = [*WHOLE[:told], CANCELLED]
    repeated = data.draw(st.permutations([*in_order, *in_order[::2]]))
    assert course(*repeated) == course(*in_order)


def test_until_its_time_is_over_a_visit_is_scheduled_and_then_decided() -> None:
    before = course(SENT, now=NOON)
    assert (before.status, before.changes_at) == (VisitStatus.SCHEDULED, BOOKED.ends_at)
    assert course(SENT, now=BOOKED.ends_at).status is VisitStatus.NO_SHOW_BOTH


def test_a_visit_goes_on_until_the_last_one_left() -> None:
    going_on = course(*WHOLE[:9], now=NOON + timedelta(minutes=20.5))
    assert (going_on.status, going_on.ended_at, going_on.duration_s) == (VisitStatus.IN_PROGRESS, None, 0)


def test_a_visit_whose_farewells_were_lost_ended_when_it_was_last_heard_of() -> None:
    now = NOON + timedelta(minutes=4)
    going_on = course(*WHOLE[:8], now=now)
    assert going_on.changes_at is not None
    lost = course(*WHOLE[:8], now=going_on.changes_at)
    assert (lost.status, lost.ended_at, lost.duration_s) == (VisitStatus.COMPLETED, ADMITTED.happened_at, 0)


def test_who_comes_back_adds_to_the_visit_and_its_duration() -> None:
    back = event(Kind.IN_VISIT, 24, Side.PATIENT, "p2"), event(Kind.LEFT, 30, who="p2")
    whole = course(*WHOLE[:9], *back, event(Kind.LEFT, 31, who="d"))
    assert (whole.attendees, whole.peak_attendees, whole.duration_s) == (3, 2, 28 * 60)


def test_an_interpreter_who_was_there_first_is_not_taken_for_the_patient() -> None:
    interpreter = event(Kind.IN_VISIT, -20, Side.PATIENT, "i")
    gone = event(Kind.LEFT, 10, who="i")
    found = course(SENT, interpreter, GOING, DOCTOR, gone, DOCTOR_LEFT)
    assert (found.status, found.started_at, found.attendees) == (VisitStatus.NO_SHOW_PATIENT, None, 2)


def test_the_wait_of_a_patient_who_gives_up_ends_with_leaving() -> None:
    assert course(*WHOLE[:5], LEFT).lobby_wait_s == 22 * 60
    assert course(*WHOLE[:5], now=NOON).lobby_wait_s is None
    assert course(*WHOLE[:4]).lobby_wait_s is None


@pytest.mark.parametrize(
    ("sent", "brought_by"),
    [
        ([], BroughtBy.EHR),
        ([SENT], BroughtBy.SMS),
        ([SENT, event(Kind.LINK_SENT, -30, Channel.EMAIL)], BroughtBy.EMAIL),
        ([SENT, event(Kind.LINK_SENT, 5, Channel.COPY)], BroughtBy.SMS),
        ([event(Kind.LINK_SENT, -30, "pigeon")], BroughtBy.EHR),
    ],
)
def test_the_last_link_before_the_patient_came_brought_the_patient(
    sent: Sequence[VisitEvent], brought_by: BroughtBy
) -> None:
    assert course(*sent, OPENED, JOINING).brought_by is brought_by


def test_nothing_brought_a_patient_who_never_used_the_link() -> None:
    assert course(SENT).brought_by is BroughtBy.NONE


@pytest.mark.parametrize(
    ("events", "status", "duration_s"),
    [
        ([GOING, DOCTOR, event(Kind.IN_VISIT, 5, Side.PROVIDER, "e"), DOCTOR_LEFT], VisitStatus.COMPLETED, 16 * 60),
        ([GOING, DOCTOR, event(Kind.IN_VISIT, 5, Side.PROVIDER, "e"), ENDED], VisitStatus.COMPLETED, 17 * 60),
        ([GOING, DOCTOR, DOCTOR_LEFT], VisitStatus.NO_SHOW_PROVIDER, 0),
        ([GOING], VisitStatus.TECHNICAL_FAILURE, 0),
        ([], VisitStatus.NO_SHOW_BOTH, 0),
    ],
)
def test_a_consult_is_a_meeting_of_two_clinicians(
    events: Sequence[VisitEvent], status: VisitStatus, duration_s: int
) -> None:
    found = course(*events, booked=CONSULT)
    assert (found.status, found.duration_s, found.brought_by) == (status, duration_s, BroughtBy.NONE)
