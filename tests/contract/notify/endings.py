"""How messages of a desk ended."""

from __future__ import annotations

from contract.notify.desk import Desk


async def ended(desk: Desk) -> list[tuple[str, str, str | None]]:
    """Return occasion, state and reason of each, by occasion."""
    query = "SELECT occasion, state, reason FROM send ORDER BY occasion"
    async with desk.engines[0].connect() as connection:
        return [(row.occasion, row.state, row.reason) for row in await connection.exec_driver_sql(query)]
