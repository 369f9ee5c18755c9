"""Who wants no messages of an organisation, by keyed digest of both.

What somebody asked last holds. It is told more than once, late and out of order, so both times are kept for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import opt_out

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_OPT_IN_KEPT = timedelta(days=8)
"""Longer than a message about an earlier wish lives in the queue."""
_HOLDS = opt_out.c.opted_in_at.is_(None) | (opt_out.c.opted_out_at >= opt_out.c.opted_in_at)
"""Both at one time counts as a wish for none."""


class OptOuts:
    """The ledger."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def opt_out(self, recipient: str, at: datetime | None = None) -> None:
        """Write down that a recipient wants no messages of the organisation, as asked at that time; now, unless given."""
        at = at or self._now()
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(opt_out).values(recipient=recipient, opted_out_at=at)
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["recipient"], set_={"opted_out_at": at}, where=opt_out.c.opted_out_at < at
                )
            )

    async def opt_in(self, recipient: str, at: datetime | None = None) -> None:
        """Write down that a recipient wants messages again, as asked at that time."""
        at = at or self._now()
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(opt_out).values(recipient=recipient, opted_out_at=_NEVER, opted_in_at=at)
            earlier = opt_out.c.opted_in_at.is_(None) | (opt_out.c.opted_in_at < at)
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["recipient"], set_={"opted_in_at": at}, where=earlier)
            )

    async def holds(self, recipient: str) -> bool:
        """Return whether a recipient wants no messages of the organisation."""
        query = select(opt_out.c.recipient).where(opt_out.c.recipient == recipient, _HOLDS)
        async with self._reads.connect() as connection:
            return (await connection.execute(query)).one_or_none() is not None

    async def forget_opted_in(self) -> None:
        """Forget who wants messages again, once nothing older can be told of them any more."""
        over = (opt_out.c.opted_in_at < self._now() - _OPT_IN_KEPT) & ~_HOLDS
        async with self._engine.begin() as connection:
            await connection.execute(delete(opt_out).where(over))
