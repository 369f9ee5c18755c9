"""Removes what is older than it may be kept. Everything that names a visit goes with the visit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, union
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import reading
from ehr_connector.store.exclusive import is_exclusive
from ehr_connector.store.schema import metadata, report_visit, send, visit

_LOCK = 0x45484558
"""Key of the advisory lock under which one process of PostgreSQL's removes visits."""
_AT_A_TIME = 200
"""Visits a transaction: writers of SQLite wait for it."""

OF_A_VISIT = tuple(
    table
    for table in metadata.sorted_tables
    if "visit" in table.columns and table.name not in {"visit", "report_visit"}
)
"""Tables that name a visit. `report_visit` is the list that is worked off, so it goes last."""


class Expiry:
    """Removes visits with all that is known of them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reads = reading(engine)

    async def organizations(self) -> Sequence[tuple[str, str]]:
        """Return the namespaces and names of the organisations that have visits or messages."""
        query = union(*(select(table.c.namespace, table.c.name) for table in (report_visit, send)))
        async with self._reads.connect() as connection:
            return [(row.namespace, row.name) for row in await connection.execute(query)]

    async def remove_some(self, namespace: str, name: str, before: datetime) -> int:
        """Remove some visits that were booked for before, and return how many; 0 when none is left."""
        mine = (report_visit.c.namespace == namespace) & (report_visit.c.name == name)
        # One that was moved a moment ago is as its visit says.
        later = select(visit.c.visit).where(visit.c.visit == report_visit.c.visit, visit.c.starts_at >= before)
        old = (
            select(report_visit.c.visit)
            .where(mine, report_visit.c.starts_at < before, ~later.exists())
            .order_by(report_visit.c.starts_at)
            .limit(_AT_A_TIME)
        )
        async with self._reads.connect() as connection:
            if (await connection.execute(old.limit(1))).first() is None:
                return 0
        async with self._engine.begin() as connection:
            if not await is_exclusive(connection, _LOCK):
                return 0
            names = (await connection.execute(old)).scalars().all()
            for table in (*OF_A_VISIT, visit, report_visit):
                await connection.execute(delete(table).where(table.c.visit.in_(names)))
            return len(names)

    async def remove_sends(self, namespace: str, name: str, before: datetime) -> None:
        """Remove messages whose visits were never written down; those of a visit that is kept go with it."""
        mine = (send.c.namespace == namespace) & (send.c.name == name) & (send.c.first_sent_at < before)
        kept = [select(table.c.visit).where(table.c.visit == send.c.visit).exists() for table in (visit, report_visit)]
        async with self._engine.begin() as connection:
            await connection.execute(delete(send).where(mine, ~or_(*kept)))
