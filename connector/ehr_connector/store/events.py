"""What happened in visits: a log that is only added to, and the reading of it by every replica."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.report_marks import mark
from ehr_connector.store.schema import visit_event
from ehr_connector.visits.events import Kind, VisitEvent

_KINDS = frozenset(kind.value for kind in Kind)
_LATE = timedelta(seconds=10)
"""A transaction that took its number earlier may become visible later, by at most so much."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event with its visit and its number in the log."""

    number: int
    visit: str
    event: VisitEvent


class Events:
    """The log."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def record(self, visit: str, events: Iterable[VisitEvent]) -> Sequence[VisitEvent]:
        """Add those events that are not there yet, and return them; a repetition changes nothing."""
        async with self._engine.begin() as connection:
            return await self.record_in(connection, visit, events)

    async def record_in(
        self, connection: AsyncConnection, visit: str, events: Iterable[VisitEvent]
    ) -> Sequence[VisitEvent]:
        """Do as `record`, in a transaction of the caller's."""
        told: dict[str, VisitEvent] = {}
        for event in events:
            told.setdefault(event.key, event)
        if not told:
            return ()
        rows = [
            {
                "visit": visit,
                "key": event.key,
                "kind": event.kind.value,
                "code": event.code,
                "participant": event.participant,
                "happened_at": event.happened_at,
                "recorded_at": self._now(),
            }
            for event in told.values()
        ]
        statement = insert_for(connection)(visit_event).on_conflict_do_nothing().returning(visit_event.c.key)
        new = set((await connection.execute(statement, rows)).scalars())
        if new:
            await mark(connection, visit, self._now())
        return [event for event in told.values() if event.key in new]

    async def of(self, visit: str) -> Sequence[VisitEvent]:
        """Return the events of a visit, in the order in which they were told."""
        query = select(visit_event).where(visit_event.c.visit == visit).order_by(visit_event.c.id)
        async with self._reads.connect() as connection:
            return [told.event for row in await connection.execute(query) if (told := told_by(row)) is not None]

    async def newest(self) -> int:
        """Return the number of the newest event, 0 when there is none."""
        async with self._reads.connect() as connection:
            return (await connection.execute(select(func.coalesce(func.max(visit_event.c.id), 0)))).scalar_one()

    async def since(self, number: int) -> Sequence[Told]:
        """Return what was told after `number`, and what was told so shortly before that it may not have been seen."""
        recent = visit_event.c.recorded_at > self._now() - _LATE
        query = select(visit_event).where((visit_event.c.id > number) | recent).order_by(visit_event.c.id)
        async with self._reads.connect() as connection:
            return [told for row in await connection.execute(query) if (told := told_by(row)) is not None]


def told_by(row: Row[tuple[object, ...]]) -> Told | None:
    """Return what a row of the log says, or None for a kind that a newer replica wrote: this one is to be replaced."""
    if row.kind not in _KINDS:
        return None
    event = VisitEvent(row.key, Kind(row.kind), row.happened_at, row.code, row.participant)
    return Told(row.id, row.visit, event)
