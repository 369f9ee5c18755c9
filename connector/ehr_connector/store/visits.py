"""Visits by their keyed names, and the Teams meeting of each. Nothing here leads to a patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.report_marks import mark
from ehr_connector.store.schema import visit
from ehr_connector.visits.meeting_digest import meeting_digest_of


@dataclass(frozen=True, slots=True)
class Meeting:
    """The Teams meeting of a visit."""

    organizer: str
    """Entra object id of the account that organises it."""
    meeting_id: str
    join_web_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit as it is stored."""

    visit: str
    namespace: str
    name: str
    endpoint: str
    environment: str
    profile_digest: str
    department: str
    kind: str
    starts_at: datetime
    ends_at: datetime
    meeting: Meeting | None = None
    location: str | None = None
    """Logical id of a location that the endpoint's configuration names."""


class Visits:
    """The visits."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def get(self, name: str) -> VisitRow | None:
        """Return a visit by its keyed name."""
        async with self._reads.connect() as connection:
            row = (await connection.execute(select(visit).where(visit.c.visit == name))).one_or_none()
        return None if row is None else visit_of(row)

    async def by_meeting_digest(self, digest: str) -> VisitRow | None:
        """Return the visit of a meeting (`ehr_connector.visits.meeting_digest`)."""
        async with self._reads.connect() as connection:
            row = (await connection.execute(select(visit).where(visit.c.meeting_digest == digest))).first()
        return None if row is None else visit_of(row)

    async def put(self, row: VisitRow) -> VisitRow:
        """Record a visit, or its new times and profile; its meeting stays. Return it as it stands."""
        standing = await self.get(row.visit)
        values = _values(row)
        if standing is not None and all(getattr(standing, key) == value for key, value in values.items()):
            return standing
        async with self._engine.begin() as connection:
            return await self.put_in(connection, row)

    async def put_in(self, connection: AsyncConnection, row: VisitRow) -> VisitRow:
        """Do as `put`, in a transaction of the caller's."""
        values = _values(row)
        statement = insert_for(connection)(visit).values(visit=row.visit, recorded_at=self._now(), **values)
        await connection.execute(statement.on_conflict_do_update(index_elements=["visit"], set_=values))
        await mark(connection, row.visit, self._now())
        return visit_of((await connection.execute(select(visit).where(visit.c.visit == row.visit))).one())

    async def set_meeting(self, name: str, meeting: Meeting, instead_of: Meeting | None = None) -> Meeting:
        """Record the meeting of a visit in the place of that which was seen, and return the one that stands.

        A meeting that somebody else recorded in the meantime stays: people may be in it already.
        """
        values = {
            "organizer": meeting.organizer,
            "meeting_id": meeting.meeting_id,
            "join_web_url": meeting.join_web_url,
            "meeting_digest": meeting_digest_of(meeting.join_web_url),
        }
        seen = visit.c.meeting_id.is_(None)
        if instead_of is not None:
            seen |= visit.c.meeting_id == instead_of.meeting_id
        async with self._engine.begin() as connection:
            await connection.execute(update(visit).where(visit.c.visit == name, seen).values(**values))
            row = (await connection.execute(select(visit).where(visit.c.visit == name))).one_or_none()
        return (None if row is None else visit_of(row).meeting) or meeting


def _values(row: VisitRow) -> dict[str, str | datetime | None]:
    """Return what changes of a visit; its meeting does not."""
    return {
        "namespace": row.namespace,
        "name": row.name,
        "endpoint": row.endpoint,
        "environment": row.environment,
        "profile_digest": row.profile_digest,
        "department": row.department,
        "kind": row.kind,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "location": row.location,
    }


def visit_of(row: Row[tuple[object, ...]]) -> VisitRow:
    """Return a visit as its row has it."""
    meeting = Meeting(row.organizer, row.meeting_id, row.join_web_url) if row.meeting_id else None
    return VisitRow(
        visit=row.visit,
        namespace=row.namespace,
        name=row.name,
        endpoint=row.endpoint,
        environment=row.environment,
        profile_digest=row.profile_digest,
        department=row.department,
        kind=row.kind,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        meeting=meeting,
        location=row.location,
    )
