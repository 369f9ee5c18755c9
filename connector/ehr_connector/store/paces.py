"""Even paces: at the most so many a minute of something, over all replicas, kept in one row of `rate` each.

Source: the generic cell rate algorithm (ITU-T I.371, Annex A), which is a token bucket in one time: when the bucket will be
full again. A row whose time is over is a full bucket, so that whoever removes expired rates removes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for
from ehr_connector.store.schema import rate


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast something may go on."""

    interval: timedelta
    """Between two, on average."""
    burst: int
    """So many may come at once after a rest."""


class Paces:
    """The buckets."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    async def take(self, bucket: str, pace: Pace) -> timedelta | None:
        """Take one token and return None, or take nothing and return how long to wait before the next try."""
        async with self._engine.begin() as connection:
            first = insert_for(connection)(rate).values(bucket=bucket, window_ends_at=self._now(), used=0)
            await connection.execute(first.on_conflict_do_nothing())
            row = select(rate.c.window_ends_at).where(rate.c.bucket == bucket).with_for_update()
            full_at = (await connection.execute(row)).scalar_one()
            now = self._now()  # after the wait for whoever held the row
            if full_at > now + pace.interval * (pace.burst + 1):
                full_at = now  # later than any take leaves it: it was written by a clock that was ahead
            wait = full_at - now - pace.interval * (pace.burst - 1)
            if wait > timedelta():
                return wait
            taken = update(rate).where(rate.c.bucket == bucket)
            await connection.execute(taken.values(window_ends_at=max(full_at, now) + pace.interval))
        return None
