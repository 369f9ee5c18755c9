"""The engine, for SQLite and for PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_READS = "ehr_reads"
_BUSY_MS = 10_000
"""How long a writer of SQLite waits for the one before."""


def open_database(url: str) -> AsyncEngine:
    """Return an engine; no connection is made yet, and the caller disposes of it. Its errors show no values."""
    if url.startswith("sqlite"):
        engine = create_async_engine(url, hide_parameters=True)
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    # A connection that the server or a proxy has closed in the meantime is noticed before it is used.
    return create_async_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=10)


def reading(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that only read: in SQLite they wait for no writer."""
    return engine.execution_options(**{_READS: True})


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that begins as a reader could not become a writer after somebody else wrote.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(_READS) else "BEGIN IMMEDIATE")
