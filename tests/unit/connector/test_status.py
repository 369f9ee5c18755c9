"""Live status: the same whatever the order and number in which events are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_connector.visits.events import (
    Channel,
    DeviceTestResult,
    Kind,
    Side,
    Stage,
    Status,
    VisitEvent,
    status_of,
)

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def event(kind: Kind, minute: float, code: str | None = None, who: str | None = None) -> VisitEvent:
    return VisitEvent(f"{kind} {minute} {who}", kind, NOON + timedelta(minutes=minute), code, who)


SENT = event(Kind.LINK_SENT, 0, Channel.SMS)
OPENED = event(Kind.OPENED, 10)
TESTED = event(Kind.DEVICE_TEST, 11, DeviceTestResult.PASSED)
JOINING = event(Kind.JOINING, 12)
STARTED = event(Kind.CALL_STARTED, 13)
LOBBY = event(Kind.IN_LOBBY, 13, who="p")
DOCTOR = event(Kind.IN_VISIT, 14, Side.PROVIDER, "d")
ADMITTED = event(Kind.IN_VISIT, 15, Side.PATIENT, "p")
LEFT = event(Kind.LEFT, 40, who="p")
DOCTOR_LEFT = event(Kind.LEFT, 41, who="d")
ENDED = event(Kind.CALL_ENDED, 42)
WHOLE = [SENT, OPENED, TESTED, JOINING, STARTED, LOBBY, DOCTOR, ADMITTED, LEFT, DOCTOR_LEFT, ENDED]
STAGES = [
    Stage.LINK_SENT,
    Stage.OPENED,
    Stage.OPENED,
    Stage.JOINING,
    Stage.JOINING,
    Stage.IN_LOBBY,
    Stage.IN_LOBBY,
    Stage.IN_VISIT,
    Stage.LEFT,
    Stage.LEFT,
    Stage.LEFT,
]


def test_before_anything_happens_nothing_was_sent() -> None:
    assert status_of([], NOON) == Status()


@pytest.mark.parametrize("told", range(1, len(WHOLE) + 1))
def test_each_step_of_a_visit_shows(told: int) -> None:
    assert status_of(WHOLE[:told], LATER).stage is STAGES[told - 1]


@given(told=st.integers(0, len(WHOLE)), data=st.data())
def test_order_and_repetition_change_nothing(told: int, data: st.DataObject) -> None:
    in_order = WHOLE[:told]
    repeated = data.draw(st.permutations([*in_order, *in_order[::2]]))
    assert status_of(repeated, LATER) == status_of(in_order, LATER)


def test_since_is_when_the_patient_came_to_the_stage() -> None:
    assert status_of(WHOLE[:6], LATER).since == LOBBY.happened_at
    assert status_of(WHOLE[:8], LATER).since == ADMITTED.happened_at
    assert status_of(WHOLE, LATER).since == ENDED.happened_at


def test_a_visit_starts_when_both_sides_are_in() -> None:
    assert status_of(WHOLE[:7], LATER).started_at is None
    assert status_of(WHOLE, LATER).started_at == ADMITTED.happened_at


def test_a_clinician_in_the_lobby_is_no_patient_once_known() -> None:
    doctor_waits = event(Kind.IN_LOBBY, 12.5, who="d")
    status = status_of([SENT, doctor_waits, DOCTOR], LATER)
    assert status.stage is Stage.LINK_SENT
    assert status.provider_present


def test_a_patient_who_comes_back_waits_again() -> None:
    again = event(Kind.IN_LOBBY, 45, who="p2")
    status = status_of([*WHOLE[:10], again], LATER)
    assert status.stage is Stage.IN_LOBBY
    assert status.waiting == 1


def test_a_patient_who_left_and_opens_the_page_again_is_on_the_way() -> None:
    assert status_of([*WHOLE, event(Kind.JOINING, 50)], LATER).stage is Stage.JOINING


def test_the_patient_is_in_the_visit_while_a_guest_waits() -> None:
    status = status_of([*WHOLE[:8], event(Kind.IN_LOBBY, 20, who="g")], LATER)
    assert status.stage is Stage.IN_VISIT
    assert status.waiting == 1


def test_a_lost_farewell_does_not_keep_a_patient_in_the_lobby_for_ever() -> None:
    assert status_of(WHOLE[:6], NOON + timedelta(days=1)).stage is Stage.LEFT


def test_when_the_call_ends_nobody_is_in_it() -> None:
    status = status_of([*WHOLE[:8], ENDED], LATER)
    assert status.stage is Stage.LEFT
    assert not status.provider_present
    assert status.ended_at == ENDED.happened_at


def test_the_last_device_test_counts() -> None:
    again = event(Kind.DEVICE_TEST, 11.5, DeviceTestResult.NO_MICROPHONE)
    assert status_of([TESTED, again], LATER).device_test is DeviceTestResult.NO_MICROPHONE


def test_each_channel_shows_once_in_order_of_use() -> None:
    sends = [SENT, event(Kind.LINK_SENT, 1, Channel.COPY), event(Kind.LINK_SENT, 2, Channel.SMS)]
    assert status_of(sends, LATER).channels == (Channel.SMS, Channel.COPY)


def test_a_moved_visit_begins_anew_with_the_link_that_was_sent() -> None:
    status = status_of([*WHOLE, event(Kind.MOVED, 60)], LATER)
    assert (status.stage, status.since) == (Stage.LINK_SENT, SENT.happened_at)
    assert status.channels == (Channel.SMS,)
    assert (status.device_test, status.started_at, status.ended_at) == (None, None, None)


def test_who_waits_while_the_visit_is_moved_is_still_waiting() -> None:
    status = status_of([*WHOLE[:6], event(Kind.MOVED, 30)], LATER)
    assert (status.stage, status.since, status.waiting) == (Stage.IN_LOBBY, LOBBY.happened_at, 1)


@pytest.mark.parametrize(("kind", "told"), [(Kind.IN_LOBBY, 6), (Kind.IN_VISIT, 8)])
def test_to_be_told_of_again_does_not_begin_the_waiting_anew(kind: Kind, told: int) -> None:
    before = status_of(WHOLE[:told], LATER)
    again = event(kind, 25, WHOLE[told - 1].code, "p")
    assert status_of([*WHOLE[:told], again], LATER).since == before.since


def test_who_was_told_of_again_lately_is_not_gone() -> None:
    again = event(Kind.IN_LOBBY, 10 * 60, who="p")
    assert status_of([*WHOLE[:6], again], NOON + timedelta(hours=13)).stage is Stage.IN_LOBBY


@pytest.mark.parametrize("keys", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_of_one_instant_the_lobby_comes_before_the_visit_and_that_before_the_farewell(keys: tuple[str, ...]) -> None:
    lobby, visit, left = (
        VisitEvent(key, kind, NOON, participant="p")
        for key, kind in zip(keys, (Kind.IN_LOBBY, Kind.IN_VISIT, Kind.LEFT), strict=True)
    )
    assert status_of([visit, lobby], LATER).stage is Stage.IN_VISIT
    assert status_of([left, visit, lobby], LATER).stage is Stage.LEFT


def test_a_patient_who_left_and_only_opens_the_page_again_is_on_the_way() -> None:
    status = status_of([*WHOLE, event(Kind.OPENED, 50)], LATER)
    assert (status.stage, status.since) == (Stage.OPENED, NOON + timedelta(minutes=50))


def test_a_link_that_is_sent_again_does_not_bring_back_who_left() -> None:
    assert status_of([*WHOLE, event(Kind.LINK_SENT, 50, Channel.SMS)], LATER).stage is Stage.LEFT


def test_codes_of_a_newer_version_are_passed_over() -> None:
    status = status_of([event(Kind.LINK_SENT, 0, "pigeon"), event(Kind.DEVICE_TEST, 1, "haunted")], LATER)
    assert (status.stage, status.channels, status.device_test) == (Stage.LINK_SENT, (), None)


def test_who_leaves_after_the_visit_was_moved_has_not_left_the_new_one() -> None:
    status = status_of([*WHOLE[:6], event(Kind.MOVED, 30), event(Kind.LEFT, 31, who="p")], LATER)
    assert status.stage is Stage.LINK_SENT


def test_the_patient_came_when_somebody_comes_after_the_patient_went_on_to_teams() -> None:
    assert status_of(WHOLE[:5], LATER).came_at is None
    assert status_of(WHOLE[:7], LATER).came_at == LOBBY.happened_at
    assert status_of(WHOLE, LATER).came_at == ADMITTED.happened_at


def test_who_comes_before_the_patient_went_on_to_teams_is_not_taken_for_the_patient() -> None:
    interpreter = event(Kind.IN_LOBBY, 11, who="i")
    assert status_of([SENT, OPENED, interpreter, JOINING], LATER).came_at is None


def test_a_clinician_in_the_lobby_is_never_taken_for_the_patient() -> None:
    clinician = event(Kind.IN_LOBBY, 13, Side.PROVIDER, "d")
    status = status_of([SENT, OPENED, JOINING, clinician], LATER)
    assert (status.stage, status.waiting, status.came_at) == (Stage.JOINING, 0, None)


def test_a_patient_who_came_for_the_old_time_has_not_come_for_the_new_one() -> None:
    moved = event(Kind.MOVED, 60)
    guest = event(Kind.IN_LOBBY, 70, who="g")
    assert status_of([*WHOLE, moved, guest], LATER).came_at is None
    again = event(Kind.JOINING, 75), event(Kind.IN_LOBBY, 76, who="p2")
    assert status_of([*WHOLE, moved, guest, *again], LATER).came_at == again[1].happened_at


INTERPRETER = event(Kind.IN_VISIT, 5, Side.PATIENT, "i")
INTERPRETER_LEFT = event(Kind.LEFT, 20, who="i")


def test_an_interpreter_who_is_admitted_before_the_patient_comes_is_not_called_the_patient() -> None:
    status = status_of([SENT, OPENED, event(Kind.IN_VISIT, 11, Side.PATIENT, "i")], LATER)
    assert (status.stage, status.is_patient, status.started_at) == (Stage.IN_VISIT, False, None)


def test_a_patient_in_the_lobby_is_waiting_also_while_an_interpreter_is_in_the_visit() -> None:
    status = status_of([SENT, DOCTOR, INTERPRETER, JOINING, LOBBY], LATER)
    assert (status.stage, status.is_patient, status.since) == (Stage.IN_LOBBY, True, LOBBY.happened_at)
    assert (status.waiting, status.started_at) == (1, None)


def test_an_interpreter_who_leaves_is_not_the_patient_who_leaves() -> None:
    gone = status_of([SENT, INTERPRETER, INTERPRETER_LEFT], LATER)
    assert (gone.stage, gone.is_patient) == (Stage.LEFT, False)
    while_inside = status_of([*WHOLE[:8], INTERPRETER, INTERPRETER_LEFT], LATER)
    assert (while_inside.stage, while_inside.is_patient) == (Stage.IN_VISIT, True)


def test_a_patient_left_although_an_interpreter_is_still_in_the_visit() -> None:
    status = status_of([*WHOLE[:8], INTERPRETER, LEFT], LATER)
    assert (status.stage, status.is_patient, status.since) == (Stage.LEFT, True, LEFT.happened_at)


def test_a_patient_who_stays_while_the_visit_is_moved_is_still_the_patient() -> None:
    status = status_of([*WHOLE[:8], event(Kind.MOVED, 30)], LATER)
    assert (status.stage, status.is_patient) == (Stage.IN_VISIT, True)


def test_an_interpreter_who_was_there_before_the_patient_does_not_come_as_the_patient_later() -> None:
    again = event(Kind.IN_VISIT, 30, Side.PATIENT, "i")
    assert status_of([INTERPRETER, JOINING, again], LATER).came_at is None
