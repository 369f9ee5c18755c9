"""Leases: which process works for an endpoint. One that is not renewed passes on when it expires.

Where processes share a server, the server's clock says when that is: theirs may differ, and two would work for one endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Interval, case, delete, func, literal, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for
from ehr_connector.store.schema import Moment, lease

_A_STATEMENT = 200


class Leases:
    """The leases of one holder."""

    def __init__(self, engine: AsyncEngine, holder: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._holder = holder
        self._now = now

    async def take(self, names: Sequence[str], life: timedelta) -> set[str]:
        """Take or renew leases, and return those that are ours now."""
        taken: set[str] = set()
        for first in range(0, len(names), _A_STATEMENT):
            # In one order for all holders, so that two of them wait for each other and do not deadlock.
            taken |= await self._take(sorted(names[first : first + _A_STATEMENT]), life)
        return taken

    async def release(self) -> None:
        """Give all leases back, so that another process goes on at once."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(lease).where(lease.c.holder == self._holder))

    async def forget_expired(self) -> None:
        """Remove leases that have passed on to nobody, whoever held them."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(lease).where(lease.c.expires_at < self._time(connection)))

    async def _take(self, names: Sequence[str], life: timedelta) -> set[str]:
        async with self._engine.begin() as connection:
            now, expires_at = self._time(connection), self._time(connection, life)
            rows = [{"name": name, "holder": self._holder, "expires_at": expires_at} for name in names]
            statement = insert_for(connection)(lease).values(rows)
            free = (lease.c.holder == self._holder) | (lease.c.expires_at <= now)
            statement = statement.on_conflict_do_update(
                index_elements=["name"],
                set_={
                    "holder": case((free, self._holder), else_=lease.c.holder),
                    "expires_at": case((free, expires_at), else_=lease.c.expires_at),
                },
            ).returning(lease.c.name, lease.c.holder)
            return {row.name for row in await connection.execute(statement) if row.holder == self._holder}

    def _time(self, connection: AsyncConnection, after: timedelta = timedelta()) -> ColumnElement[datetime]:
        """Return the time in a while; a SQLite file has one process, and no clock of its own."""
        if connection.dialect.name == "postgresql":
            return type_coerce(func.clock_timestamp() + literal(after, Interval), Moment)
        return literal(self._now() + after, Moment)
