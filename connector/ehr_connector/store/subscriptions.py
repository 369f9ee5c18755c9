"""Graph's subscriptions to meetings: which there are, and which of them something is to be done about now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import graph_subscription

CLAIM = timedelta(minutes=2)
"""How long a worker has a row to itself; what it has not finished by then, another one takes up."""


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A subscription that is wanted, and Graph's id of it once there is one."""

    visit: str
    namespace: str
    name: str
    subscription_id: str | None
    expires_at: datetime | None
    due_at: datetime
    attempts: int


class Subscriptions:
    """The table of subscriptions."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def want(self, visit: str, namespace: str, name: str, due_at: datetime) -> bool:
        """Ask for a subscription, to be seen to at `due_at`; one that is due sooner stays so. True: something changed."""
        standing = await self.get(visit)
        # Who has claimed the row looks at the visit as it is now: nothing is to be told.
        if standing is not None and standing.due_at <= due_at + CLAIM:
            return False
        table = graph_subscription
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(table).values(
                visit=visit, namespace=namespace, name=name, due_at=due_at, attempts=0
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["visit"], set_={"due_at": due_at}, where=table.c.due_at > due_at + CLAIM
                )
            )
        return True

    async def get(self, visit: str) -> SubscriptionRow | None:
        """Return the row of a visit."""
        async with self._reads.connect() as connection:
            found = await connection.execute(select(graph_subscription).where(graph_subscription.c.visit == visit))
            row = found.one_or_none()
        return None if row is None else _row(row)

    async def claim(self, most: int) -> Sequence[SubscriptionRow]:
        """Take rows that are due; nobody else gets them for the time of a claim."""
        table = graph_subscription
        now = self._now()
        due = select(table).where(table.c.due_at <= now).order_by(table.c.due_at).limit(most)
        async with self._reads.connect() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return ()
        async with self._engine.begin() as connection:
            rows = (await connection.execute(due.with_for_update(skip_locked=True))).all()
            visits = [row.visit for row in rows]
            await connection.execute(update(table).where(table.c.visit.in_(visits)).values(due_at=now + CLAIM))
        return [_row(row, due_at=now + CLAIM) for row in rows]

    async def stands(
        self, claimed: SubscriptionRow, subscription_id: str, expires_at: datetime, due_at: datetime
    ) -> None:
        """Record that there is a subscription, and when to look at it again."""
        await self._set(claimed, subscription_id=subscription_id, expires_at=expires_at, due_at=due_at, attempts=0)

    async def later(self, claimed: SubscriptionRow, due_at: datetime) -> None:
        """Put off what is not to be done yet."""
        await self._set(claimed, due_at=due_at)

    async def failed(self, claimed: SubscriptionRow, due_at: datetime) -> None:
        """Record a failed attempt, and when to try again."""
        await self._set(claimed, due_at=due_at, attempts=claimed.attempts + 1)

    async def lost(self, claimed: SubscriptionRow) -> None:
        """Record that Graph has the subscription no more, and see to it at once."""
        await self._set(claimed, subscription_id=None, expires_at=None, due_at=self._now())

    async def remove(self, visit: str) -> None:
        """Want it no more."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(graph_subscription).where(graph_subscription.c.visit == visit))

    async def look_now(self, visit: str, subscription_id: str, *, removed: bool) -> bool:
        """Have a subscription seen to at once, because Graph asked, or `removed` it; one of another id is left alone."""
        table = graph_subscription
        # Expired is how a worker sees that it must be renewed, or made anew.
        values = {"due_at": self._now(), "expires_at": self._now()} | ({"subscription_id": None} if removed else {})
        async with self._engine.begin() as connection:
            changed = await connection.execute(
                update(table)
                .where(table.c.visit == visit, table.c.subscription_id == subscription_id)
                .values(**values)
                .returning(table.c.visit)
            )
            return changed.first() is not None

    async def _set(self, claimed: SubscriptionRow, **values: object) -> None:
        """Change a row that is still ours."""
        table = graph_subscription
        async with self._engine.begin() as connection:
            await connection.execute(
                update(table).where(table.c.visit == claimed.visit, table.c.due_at == claimed.due_at).values(**values)
            )


def _row(row: Row[tuple[object, ...]], *, due_at: datetime | None = None) -> SubscriptionRow:
    return SubscriptionRow(
        visit=row.visit,
        namespace=row.namespace,
        name=row.name,
        subscription_id=row.subscription_id,
        expires_at=row.expires_at,
        due_at=due_at or row.due_at,
        attempts=row.attempts,
    )
