"""Each time that the EHR moves an appointment is noted, and once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from unit.connector.visiting import START, booked

from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.events import Kind, VisitEvent
from ehr_connector.visits.service import VisitService

LATER = START + timedelta(hours=2)


class Book:
    """Visits, their events and their names in memory."""

    def __init__(self) -> None:
        self.now = START - timedelta(days=3)
        self.standing: VisitRow | None = None
        self.told: dict[str, VisitEvent] = {}

    def name(self, *_parts: str) -> str:
        """Return the name of the only visit."""
        return "visit"

    async def get(self, _visit: str) -> VisitRow | None:
        """Return the visit as it stands."""
        return self.standing

    async def put(self, row: VisitRow) -> VisitRow:
        """Write down the visit."""
        self.standing = row
        return row

    async def record(self, _visit: str, events: Sequence[VisitEvent]) -> None:
        """Write down what is not there yet."""
        self.told = {event.key: event for event in events} | self.told


async def test_a_visit_that_goes_forth_and_back_and_forth_was_moved_three_times() -> None:
    book = Book()
    book_: Any = book
    service = VisitService(
        directory=book_,
        ehr=book_,
        secret=book_,
        links=book_,
        visits=book_,
        events=book_,
        guests=book_,
        meetings=book_,
        rates=book_,
        now=lambda: book.now,
        monotonic=lambda: 0.0,
    )
    for start in (START, LATER, START, LATER, LATER):
        await service.record(booked(start=start.isoformat(), end=None))
        book.now += timedelta(hours=1)
    assert [event.kind for event in book.told.values()] == [Kind.MOVED] * 3
