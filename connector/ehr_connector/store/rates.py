"""Limits on how often something is done, by keyed digest of who or what it is limited for; counted for all replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for
from ehr_connector.store.schema import rate

_CLOCKS_DIFFER = timedelta(minutes=10)
"""Clocks of replicas differ by less."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in each window."""

    times: int
    window: timedelta


class Rates:
    """The counts."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    async def take(self, bucket: str, limit: Limit) -> timedelta | None:
        """Count one, and return None when it is within the limit, or how long to wait when it is not."""
        now = self._now()
        ends = now + limit.window
        over = rate.c.window_ends_at <= now
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(rate).values(bucket=bucket, window_ends_at=ends, used=1)
            statement = statement.on_conflict_do_update(
                index_elements=["bucket"],
                set_={
                    "used": case((over, 1), else_=rate.c.used + 1),
                    "window_ends_at": case((over, ends), else_=rate.c.window_ends_at),
                },
            ).returning(rate.c.used, rate.c.window_ends_at)
            row = (await connection.execute(statement)).one()
        return None if row.used <= limit.times else max(row.window_ends_at - now, timedelta(seconds=1))

    async def give_back(self, bucket: str) -> None:
        """Count one less: what was counted did not happen."""
        async with self._engine.begin() as connection:
            less = update(rate).where(rate.c.bucket == bucket, rate.c.used > 0)
            await connection.execute(less.values(used=rate.c.used - 1))

    async def forget_expired(self) -> None:
        """Remove counts of windows that are over, by the clock of any replica."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(rate).where(rate.c.window_ends_at < self._now() - _CLOCKS_DIFFER))
