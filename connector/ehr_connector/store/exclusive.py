"""One process at a time, for the length of a transaction; whoever comes second goes away instead of waiting."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def is_exclusive(connection: AsyncConnection, key: int) -> bool:
    """Return whether no other transaction holds `key`; this one then does until it ends."""
    if connection.dialect.name != "postgresql":
        return True  # in SQLite the transaction began as the only writer
    return (await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key})).scalar_one()
