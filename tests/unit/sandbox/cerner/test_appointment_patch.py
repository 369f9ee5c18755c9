"""Whatever a patch holds, it is refused or it writes each side's link where that side is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_sandbox.cerner.appointment_patch import LONGEST_LINK, change_of, operations_of
from ehr_sandbox.cerner.appointments import appointment_resource
from ehr_sandbox.cerner.bookings import Booking, Links
from ehr_sandbox.cerner.errors import FhirError
from ehr_sandbox.cerner.people import Person

START = datetime(2026, 11, 18, 15, tzinfo=UTC)
PEOPLE = (Person("1", "Testa", "Mockford", "female"), Person("2", "Testo", "Sampleton", "male"))
PERIOD = ("2026-11-18T15:00:00Z", "2026-11-18T15:30:00Z")
PATHS = (
    "/contained/0/telecom/0/value",
    "/contained/1/telecom/0/value",
    "/contained/0/telecom/0/period/start",
    "/contained/0/telecom/0/period/end",
)

ANY_OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove"]), "path": st.sampled_from([*PATHS, "/status", "/slot"])},
    optional={"value": st.none() | st.integers() | st.text(max_size=300) | st.sampled_from([*PERIOD, "arrived"])},
)


def booked(links: Links | None = None) -> Booking:
    return Booking(
        id="1",
        status="booked",
        service="Video Visit",
        requested=(START, START + timedelta(minutes=30)),
        patient_id="1",
        practitioner_id="2",
        location_id="21304876",
        links=links,
    )


def read(links: Links) -> dict[str, str]:
    """Return the links as a reader finds them, by the type of the room."""
    resource = appointment_resource("tenant", booked(links), *PEOPLE)
    return {room["type"][0]["text"].split()[0]: room["telecom"][0]["value"] for room in resource["contained"]}


@given(
    provider=st.text(min_size=1, max_size=LONGEST_LINK),
    patient=st.text(min_size=1, max_size=LONGEST_LINK),
    order=st.permutations(range(4)),
    again=st.booleans(),
)
def test_in_any_order_of_operations_each_side_reads_its_own_link(
    provider: str, patient: str, order: list[int], again: bool
) -> None:
    values = (provider, patient, *PERIOD)
    op = "replace" if again else "add"
    operations = [{"op": op, "path": PATHS[index], "value": values[index]} for index in order]
    before = Links("old provider", "old patient", *PERIOD) if again else None
    links = change_of(booked(before), operations)["links"]

    assert read(links) == {"Patient": patient, "Provider": provider}


@given(st.lists(ANY_OPERATION, min_size=1, max_size=6))
def test_any_patch_is_refused_or_changes_all_links_or_the_status(operations: list[dict[str, Any]]) -> None:
    outcome: int | dict[str, Any]
    try:
        outcome = change_of(booked(), operations)
    except FhirError as exc:
        outcome = exc.status

    if isinstance(outcome, int):
        assert outcome == 422
    else:
        assert (set(outcome), len(operations)) in (({"links"}, 4), ({"status"}, 1))


@given(st.binary(max_size=60))
def test_any_body_is_refused_or_read(body: bytes) -> None:
    outcome: int | list[dict[str, Any]]
    try:
        outcome = operations_of(body)
    except FhirError as exc:
        outcome = exc.status

    assert outcome == 400 or isinstance(outcome, list)


@pytest.mark.parametrize("length", [LONGEST_LINK, LONGEST_LINK + 1])
def test_the_length_of_a_link_is_limited_to_the_character(length: int) -> None:
    values = ("p", "x" * length, *PERIOD)
    operations = [{"op": "add", "path": path, "value": value} for path, value in zip(PATHS, values, strict=True)]
    refused = False
    try:
        change_of(booked(), operations)
    except FhirError:
        refused = True

    assert refused is (length > LONGEST_LINK)
