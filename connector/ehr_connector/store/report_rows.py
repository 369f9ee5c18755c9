"""The reports' row of each visit: marked in the transaction of the event, made by a worker a moment later.

Nothing is lost between the two: the mark is committed with the event, a row is made from what is committed after its marks
were read, and only those marks are removed. One process at a time makes rows, so that no older row replaces a newer one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.events import told_by
from ehr_connector.store.exclusive import is_exclusive
from ehr_connector.store.schema import report_due, report_visit, visit, visit_event
from ehr_connector.store.visits import VisitRow, visit_of
from ehr_connector.visits.events import VisitEvent


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A row as it is stored, but for the columns that are the visit's."""

    visit: str
    day: date
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: int
    lobby_wait_s: int | None
    attendees: int
    peak_attendees: int
    brought_by: str
    device_test: str | None


Make = Callable[[VisitRow, Sequence[VisitEvent], datetime], Awaitable[tuple[ReportRow, datetime | None]]]
"""Returns the row of a visit, and when it is to be made anew although nothing happens."""

_LOCK = 0x45485252
"""Key of the advisory lock under which one process of PostgreSQL's makes rows."""
_MARKS = 20_000
"""SQLite takes 32,766 parameters in a statement."""
_OF_THE_VISIT = ("namespace", "name", "endpoint", "environment", "department", "kind", "starts_at", "ends_at")


class ReportRows:
    """The rows."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def oldest_due_s(self) -> float:
        """Return for how long the oldest row is due to be made anew; 0 when none is."""
        now = self._now()
        query = select(func.min(report_due.c.due_at)).where(report_due.c.due_at <= now)
        async with self._reads.connect() as connection:
            oldest = (await connection.execute(query)).scalar_one()
        return (now - oldest).total_seconds() if oldest else 0.0

    async def renew(self, most: int, make: Make) -> int:
        """Make at most `most` rows anew that are due, and return how many; others may do so at the same time."""
        now = self._now()
        due = select(report_due.c.visit).where(report_due.c.due_at <= now).order_by(report_due.c.due_at)
        async with self._reads.connect() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return 0
        async with self._engine.begin() as connection:
            if not await is_exclusive(connection, _LOCK):
                return 0
            names = list(dict.fromkeys((await connection.execute(due.limit(most))).scalars()))
            await _renew(connection, names, make, now)
        return len(names)


async def _renew(connection: AsyncConnection, names: Sequence[str], make: Make, now: datetime) -> None:
    # What is beyond the limit stays, and has the row made once more.
    query = select(report_due.c.id).where(report_due.c.visit.in_(names)).limit(_MARKS)
    marks = (await connection.execute(query)).scalars().all()
    told = await _events_of(connection, names)
    rows: list[dict[str, object]] = []
    later: list[dict[str, object]] = []
    for found in await connection.execute(select(visit).where(visit.c.visit.in_(names))):
        one = visit_of(found)
        row, due_at = await make(one, told.get(one.visit, ()), now)
        rows.append(asdict(row) | {column: getattr(one, column) for column in _OF_THE_VISIT})
        if due_at is not None:
            later.append({"visit": one.visit, "due_at": due_at})
    if rows:
        statement = insert_for(connection)(report_visit)
        columns = {column.name: statement.excluded[column.name] for column in report_visit.c if not column.primary_key}
        await connection.execute(statement.on_conflict_do_update(index_elements=["visit"], set_=columns), rows)
    await connection.execute(delete(report_due).where(report_due.c.id.in_(marks)))
    if later:
        await connection.execute(insert(report_due), later)


async def _events_of(connection: AsyncConnection, names: Sequence[str]) -> Mapping[str, Sequence[VisitEvent]]:
    found: dict[str, list[VisitEvent]] = {}
    query = select(visit_event).where(visit_event.c.visit.in_(names)).order_by(visit_event.c.id)
    for row in await connection.execute(query):
        told = told_by(row)
        if told is not None:
            found.setdefault(told.visit, []).append(told.event)
    return found
