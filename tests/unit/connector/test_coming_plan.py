"""What is written into an appointment of the EHR, and that it is never the wrong link in the wrong room."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.connector.visiting import START, booked, room, site

from ehr_clients.fhir_model import PATIENT_ROOM, PROVIDER_ROOM
from ehr_connector.coming.plan import Desired, WriteArrived, WriteLinks, plan
from ehr_connector.visits.events import Stage, Status

PATIENT, PROVIDER = "https://visits.lamna.example/v/patient", "https://visits.lamna.example/v/provider"
DESIRED = Desired(PROVIDER, PATIENT)
OPENS, CLOSES = START - timedelta(minutes=30), START + timedelta(hours=4)
BEFORE = START - timedelta(days=1)
CAME = Status(Stage.IN_LOBBY, came_at=START)


def rooms(
    patient: str = PATIENT, provider: str = PROVIDER, start: datetime = OPENS, end: datetime = CLOSES
) -> list[dict[str, Any]]:
    """Both rooms in the order in which Cerner shows them."""
    period = (start.isoformat(), end.isoformat())
    return [room(PATIENT_ROOM, patient, *period), room(PROVIDER_ROOM, provider, *period)]


def test_an_appointment_without_links_gets_both() -> None:
    assert plan(booked(), DESIRED, Status(), BEFORE) == [WriteLinks(PROVIDER, PATIENT, OPENS, CLOSES)]


def test_an_appointment_with_our_links_is_left_alone() -> None:
    assert plan(booked(contained=rooms()), DESIRED, Status(), BEFORE) == []
    assert plan(booked(contained=rooms()[::-1]), DESIRED, Status(), BEFORE) == []


@pytest.mark.parametrize(
    "contained",
    [
        rooms(patient=PROVIDER, provider=PATIENT),
        rooms(patient="https://elsewhere.example/"),
        rooms(start=OPENS - timedelta(hours=1), end=CLOSES - timedelta(hours=1)),
        rooms()[:1],
    ],
    ids=["exchanged", "another's", "before it was moved", "half"],
)
def test_what_differs_is_written_again(contained: list[dict[str, Any]]) -> None:
    found = booked(contained=contained)
    assert plan(found, DESIRED, Status(), BEFORE) == [WriteLinks(PROVIDER, PATIENT, OPENS, CLOSES)]


def test_links_of_a_cancelled_visit_end_now() -> None:
    cancelled = booked(status="cancelled", contained=rooms())
    (action,) = plan(cancelled, DESIRED, Status(), BEFORE)
    assert isinstance(action, WriteLinks)
    assert action.end == BEFORE
    assert plan(booked(status="cancelled", contained=rooms(end=BEFORE)), DESIRED, Status(), BEFORE) == []


def test_a_cancelled_visit_without_our_links_is_left_alone() -> None:
    assert plan(booked(status="cancelled"), DESIRED, Status(), BEFORE) == []


def test_a_visit_whose_window_has_closed_gets_no_links() -> None:
    assert plan(booked(), DESIRED, Status(), CLOSES) == []


@pytest.mark.parametrize("stage", [Stage.IN_LOBBY, Stage.IN_VISIT, Stage.LEFT])
def test_a_booked_patient_who_came_has_arrived(stage: Stage) -> None:
    found = booked(contained=rooms())
    assert plan(found, DESIRED, Status(stage, came_at=OPENS), START) == [WriteArrived()]


@pytest.mark.parametrize("stage", Stage)
def test_a_patient_who_never_came_has_not_arrived_whoever_else_did(stage: Stage) -> None:
    assert plan(booked(contained=rooms()), DESIRED, Status(stage), START) == []


def test_who_came_before_the_visit_opened_has_not_arrived() -> None:
    early = Status(Stage.IN_LOBBY, came_at=OPENS - timedelta(seconds=1))
    assert plan(booked(contained=rooms()), DESIRED, early, START) == []


@pytest.mark.parametrize("status", ["arrived", "checked-in", "fulfilled", "cancelled", "proposed", "noshow"])
def test_only_the_legal_move_to_arrived_is_made(status: str) -> None:
    actions = plan(booked(status=status, contained=rooms()), DESIRED, CAME, START)
    assert WriteArrived() not in actions


def test_only_what_the_endpoint_asks_for_is_written() -> None:
    asks_nothing = {"locations": ["21304876"], "virtualVisitTypes": ["Video Visit"], "timeZone": "UTC"}
    assert plan(booked(site(appointments=asks_nothing)), DESIRED, CAME, START) == []
    assert plan(booked(site(active=False)), DESIRED, CAME, START) == []


@given(
    contained=st.lists(st.sampled_from([*rooms(), *rooms(PROVIDER, PATIENT)]), max_size=4),
    status=st.sampled_from(["booked", "arrived", "checked-in", "cancelled", "fulfilled"]),
    stage=st.sampled_from(Stage),
    minutes=st.integers(-3000, 3000),
)
def test_the_patients_room_never_gets_the_providers_link(
    contained: list[dict[str, Any]], status: str, stage: Stage, minutes: int
) -> None:
    found = booked(status=status, contained=contained)
    for action in plan(found, DESIRED, Status(stage, came_at=START), START + timedelta(minutes=minutes)):
        if isinstance(action, WriteLinks):
            assert (action.provider, action.patient) == (PROVIDER, PATIENT)
            assert action.start < action.end
