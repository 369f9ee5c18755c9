"""How a database answers what it is asked: by an index, or by reading a whole table."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

Statement = tuple[str, Any]
"""A query with its parameters."""


@contextmanager
def explained(engine: AsyncEngine) -> Generator[list[Statement]]:
    """Collect the queries of a block."""
    asked: list[Statement] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", listen)
    try:
        yield asked
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", listen)


async def plans(engine: AsyncEngine, statements: Sequence[Statement]) -> Sequence[str]:
    """Return how each is answered; PostgreSQL reads a whole table only where no index could serve."""
    is_postgresql = engine.dialect.name == "postgresql"
    found: list[str] = []
    async with engine.connect() as connection:
        if is_postgresql:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in statements:
            explain = "EXPLAIN" if is_postgresql else "EXPLAIN QUERY PLAN"
            rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
            found.append("\n".join(str(row[-1]) for row in rows))
    return found
