"""Lets leases come nearer to their end."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


async def age_leases(engine: AsyncEngine, seconds: float) -> None:
    """Let so much time have passed since each lease was taken, whoever's clock says when it ends."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            changed = "expires_at - make_interval(secs => :seconds)"
        else:
            changed = "strftime('%Y-%m-%d %H:%M:%f', expires_at, '-' || :seconds || ' seconds') || '000'"
        await connection.execute(text(f"UPDATE lease SET expires_at = {changed}"), {"seconds": seconds})
