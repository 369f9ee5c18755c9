"""Even paces: at the most so many a minute of something, over all replicas, kept in one row of `rate` each.

Source: the generic cell rate algorithm (ITU-T I.371, Annex A), which is a token bucket in one time: when the bucket will be
full again. A row whose time is over is a full bucket, so that whoever removes expired rates removes nothing.

Where processes share a server, the server's clock counts: by clocks that differ each would find the bucket that another one
has emptied full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, literal, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for
from ehr_connector.store.schema import Moment, rate

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCK_JUMPED = timedelta(minutes=5)
"""A bucket that is full this much later than any take leaves it was left by a clock that was wrong, and is full."""


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
            first = insert_for(connection)(rate).values(bucket=bucket, window_ends_at=_LONG_AGO, used=0)
            # A row that is there is locked by a change that changes nothing, so that what is read of it holds.
            locked = first.on_conflict_do_update(index_elements=["bucket"], set_={"used": rate.c.used})
            row = await connection.execute(locked.returning(rate.c.window_ends_at, self._time(connection)))
            full_at, now = row.one()  # the time after the wait for whoever held the row
            if full_at > now + pace.interval * pace.burst + _CLOCK_JUMPED:
                full_at = now
            wait = full_at - now - pace.interval * (pace.burst - 1)
            if wait > timedelta():
                return wait
            taken = update(rate).where(rate.c.bucket == bucket)
            await connection.execute(taken.values(window_ends_at=max(full_at, now) + pace.interval))
        return None

    def _time(self, connection: AsyncConnection) -> ColumnElement[datetime]:
        """Return the time, on one clock for all processes; a SQLite file has one process, and no clock of its own."""
        if connection.dialect.name == "postgresql":
            return type_coerce(func.clock_timestamp(), Moment)
        return literal(self._now(), Moment)
