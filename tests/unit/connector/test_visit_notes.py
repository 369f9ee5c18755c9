"""What is noted of a visit: each move by the EHR once, and whatever else before or after it; and what is shown without notes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError
from unit.connector.visiting import START, booked, site

from ehr_clients.fhir_model import Appointment
from ehr_connector.directory import Site
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.booking import Access, Booking
from ehr_connector.visits.events import CANCELLED_BEFORE, DeviceTestResult, Kind, VisitEvent
from ehr_connector.visits.links import JoinLink, Role
from ehr_connector.visits.service import VisitService

LATER = START + timedelta(hours=2)


class Book:
    """Everything that the service asks, in memory: one visit, and a link to it."""

    def __init__(self, role: Role = Role.PATIENT) -> None:
        self.now = START - timedelta(days=3)
        self.found: Booking = booked()
        self.role = role
        self.is_away = False
        self.standing: VisitRow | None = None
        self.told: dict[str, VisitEvent] = {}

    def service(self) -> VisitService:
        """Return the service."""
        book: Any = self
        return VisitService(
            directory=book,
            ehr=book,
            secret=book,
            links=book,
            visits=book,
            events=book,
            guests=book,
            meetings=book,
            rates=book,
            now=lambda: self.now,
            monotonic=lambda: 0.0,
        )

    def name(self, *_parts: str) -> str:
        """Return the name of the only visit."""
        return "visit"

    def read(self, _token: str) -> JoinLink:
        """Return what the link says."""
        return JoinLink(b"tag", "4711", self.role)

    async def by_tag(self, _tag: bytes) -> Site:
        """Return the only site."""
        return site()

    async def call(self, _site: Site, _ask: Callable[[Any], Awaitable[Any]]) -> Appointment:
        """Return the appointment as the EHR has it."""
        return self.found.appointment

    async def get(self, _visit: str) -> VisitRow | None:
        """Return the visit as it stands."""
        return self.standing

    async def put(self, row: VisitRow) -> VisitRow:
        """Write down the visit."""
        self.standing = row
        return row

    async def of(self, _visit: str) -> Sequence[VisitEvent]:
        """Return what was written down."""
        if self.is_away:
            raise SQLAlchemyError
        return [*self.told.values()]

    async def is_alive(self, *_link: Any) -> bool:
        """Return whether a guest's link was not revoked."""
        if self.is_away:
            raise SQLAlchemyError
        return True

    async def take(self, *_limit: Any) -> None:
        """Limit nothing."""

    async def ensure(self, *_meeting: Any) -> None:
        """Make no meeting."""

    async def record(self, _visit: str, events: Sequence[VisitEvent]) -> None:
        """Write down what is not there yet."""
        self.told = self.told | {event.key: event for event in events if event.key not in self.told}


async def test_a_visit_that_goes_forth_and_back_and_forth_was_moved_three_times() -> None:
    book = Book()
    service = book.service()
    for start in (START, LATER, START, LATER, LATER):
        await service.record(booked(start=start.isoformat(), end=None))
        book.now += timedelta(hours=1)
    assert [event.kind for event in book.told.values()] == [Kind.MOVED] * 3


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
async def test_a_cancellation_is_noted_once(status: str) -> None:
    book = Book()
    service = book.service()
    await service.record(booked())
    for _ in range(2):
        book.now += timedelta(hours=1)
        await service.record(booked(status=status))
    (event,) = book.told.values()
    assert (event.kind, event.happened_at, event.code) == (Kind.CANCELLED, START - timedelta(days=3, hours=-1), None)


async def test_when_a_visit_was_cancelled_that_was_so_when_first_seen_is_not_known() -> None:
    book = Book()
    await book.service().record(booked(status="cancelled"))
    (event,) = book.told.values()
    assert (event.kind, event.code) == (Kind.CANCELLED, CANCELLED_BEFORE)


async def opening(service: VisitService) -> None:
    await service.opened("token")


async def trying_devices(service: VisitService) -> None:
    await service.device_test("token", DeviceTestResult.PASSED)


@pytest.mark.parametrize("act", [opening, trying_devices])
async def test_what_a_patient_does_first_at_a_moved_visit_is_done_at_its_new_time(
    act: Callable[[VisitService], Awaitable[None]],
) -> None:
    book = Book()
    service = book.service()
    await service.record(booked())
    book.found = booked(start=LATER.isoformat(), end=None)
    await act(service)
    kinds = [event.kind for event in book.told.values()]
    assert kinds[0] is Kind.MOVED
    assert len(kinds) == 2


async def test_a_link_that_is_dead_leaves_no_note() -> None:
    book = Book()
    book.found = booked(status="cancelled")
    service = book.service()
    await opening(service)
    await trying_devices(service)
    assert (book.standing, book.told) == (None, {})


@pytest.mark.parametrize("at", [START - timedelta(days=1), START])
async def test_a_patient_sees_the_visit_while_the_database_is_away(at: datetime) -> None:
    book = Book()
    book.now, book.is_away = at, True
    look = await book.service().look("token")
    assert look.access in {Access.EARLY, Access.OPEN}
    assert (look.start, look.moved) == (START, False)


async def test_a_guest_whose_link_may_be_revoked_is_told_whom_to_call_while_the_database_is_away() -> None:
    book = Book(Role.GUEST)
    book.is_away = True
    look = await book.service().look("token")
    assert look.access is Access.UNAVAILABLE
    assert look.help_phone == "+18005550199"
