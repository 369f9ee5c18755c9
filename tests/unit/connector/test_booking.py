"""Which appointments are visits, and what a link opens when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from unit.connector.visiting import START, appointment, booked, site

from ehr_connector.visits.booking import Access, access, booking


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (-timedelta(days=3), Access.EARLY),
        (-timedelta(minutes=30, seconds=1), Access.EARLY),
        (-timedelta(minutes=30), Access.OPEN),
        (timedelta(0), Access.OPEN),
        (timedelta(hours=3, minutes=59), Access.OPEN),
        (timedelta(hours=4), Access.LATE),
        (timedelta(days=30), Access.LATE),
    ],
)
def test_a_link_is_open_within_the_join_window_alone(at: timedelta, expected: Access) -> None:
    assert access(booked(), START + at) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("booked", Access.OPEN),
        ("arrived", Access.OPEN),
        ("checked-in", Access.OPEN),
        ("fulfilled", Access.LATE),
        ("cancelled", Access.CANCELLED),
        ("noshow", Access.CANCELLED),
        ("entered-in-error", Access.GONE),
        ("proposed", Access.GONE),
        ("waitlist", Access.GONE),
    ],
)
def test_a_link_is_alive_only_while_the_ehr_says_that_its_appointment_is(status: str, expected: Access) -> None:
    assert access(booked(status=status), START) is expected


@pytest.mark.parametrize("status", ["booked", "cancelled", "proposed"])
def test_a_link_of_an_endpoint_that_is_not_active_opens_nothing(status: str) -> None:
    assert access(booked(site(active=False), status=status), START) is Access.INACTIVE


@pytest.mark.parametrize(
    "fields",
    [
        {"serviceType": [{"text": "Office Visit"}]},
        {"serviceType": []},
        {"start": None},
    ],
)
def test_what_is_no_virtual_visit_has_no_link(fields: dict[str, Any]) -> None:
    assert booking(site(), appointment(**fields)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"serviceType": [{"text": "Telehealth"}]},
        {"serviceType": [{"coding": [{"system": "urn:x", "code": "Telehealth"}]}]},
        {"serviceType": [], "appointmentType": {"text": "Video Visit"}},
    ],
)
def test_a_virtual_visit_is_told_by_text_or_by_code(fields: dict[str, Any]) -> None:
    assert booking(site(), appointment(**fields)) is not None


def test_the_department_is_that_of_the_location() -> None:
    at_family = [{"actor": {"reference": "Location/21304877"}}]
    elsewhere = [{"actor": {"reference": "https://ehr.example/r4/1/Location/9"}}]
    assert booked(participant=at_family).department.name == "family"
    assert booked(participant=elsewhere).department.name == "clinic-4"


def test_an_appointment_without_an_end_lasts_as_long_as_it_says_or_half_an_hour() -> None:
    assert booked(end=None, minutesDuration=45).end == START + timedelta(minutes=45)
    assert booked(end=None).end == START + timedelta(minutes=30)


@pytest.mark.parametrize("before", [timedelta(0), timedelta(minutes=5)])
def test_an_appointment_that_ends_no_later_than_it_starts_lasts_as_if_it_had_no_end(before: timedelta) -> None:
    assert booked(end=(START - before).isoformat()).end == START + timedelta(minutes=30)


def test_nothing_of_a_patient_shows_in_a_repr() -> None:
    assert "Patient/12" not in repr(booked())
    assert "Patient/12" not in repr(appointment())
