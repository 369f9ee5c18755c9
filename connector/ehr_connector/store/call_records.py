"""Call records that are still to be fetched. A row is a promise: it goes when its record was seen to, and not before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import call_record

CLAIM = timedelta(minutes=5)
"""How long a worker has a row to itself; what it has not finished by then, another one takes up."""


@dataclass(frozen=True, slots=True)
class ToFetch:
    """A call record that a worker has claimed."""

    tenant_id: str
    record: str = field(repr=False)
    told_at: datetime
    due_at: datetime
    attempts: int


class CallRecordsToFetch:
    """The table of them."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def want(self, tenant_id: str, records: Sequence[str]) -> None:
        """Have records fetched at once; those that are being fetched are fetched once more, for they have changed."""
        now = self._now()
        rows = [
            {"tenant_id": tenant_id, "record": record, "told_at": now, "due_at": now, "attempts": 0}
            # In one order for all who write, so that two of them wait for each other and do not deadlock.
            for record in sorted(set(records))
        ]
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(call_record)
            # The time of a claim becomes another one: so the worker that holds it sees that there is more to do.
            again = {"told_at": now, "due_at": now, "attempts": 0}
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["tenant_id", "record"], set_=again), rows
            )

    async def claim(self, most: int) -> Sequence[ToFetch]:
        """Take records that are due; nobody else gets them for the time of a claim."""
        table, now = call_record, self._now()
        due = select(table).where(table.c.due_at <= now).order_by(table.c.due_at).limit(most)
        async with self._reads.connect() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return ()
        async with self._engine.begin() as connection:
            rows = (await connection.execute(due.with_for_update(skip_locked=True))).all()
            keys = [(row.tenant_id, row.record) for row in rows]
            theirs = tuple_(table.c.tenant_id, table.c.record).in_(keys)
            await connection.execute(update(table).where(theirs).values(due_at=now + CLAIM))
        return [ToFetch(row.tenant_id, row.record, row.told_at, now + CLAIM, row.attempts) for row in rows]

    async def done(self, claimed: ToFetch) -> None:
        """Forget a record that was seen to, unless Microsoft has told of it again in the meantime."""
        async with self._engine.begin() as connection:
            await self.done_in(connection, claimed)

    async def done_in(self, connection: AsyncConnection, claimed: ToFetch) -> None:
        """Do as `done`, in a transaction of the caller's."""
        await connection.execute(delete(call_record).where(_is(claimed)))

    async def failed(self, claimed: ToFetch, due_at: datetime) -> None:
        """Record a failed attempt, and when to try again."""
        async with self._engine.begin() as connection:
            values = {"due_at": due_at, "attempts": claimed.attempts + 1}
            await connection.execute(update(call_record).where(_is(claimed)).values(**values))


def _is(claimed: ToFetch):  # noqa: ANN202 (SQLAlchemy's own expression)
    table = call_record
    return (
        (table.c.tenant_id == claimed.tenant_id)
        & (table.c.record == claimed.record)
        & (table.c.due_at == claimed.due_at)
    )
