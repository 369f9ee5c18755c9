"""The engine, for SQLite and for PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import URL, Table, event, make_url
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_READS = "ehr_reads"
_BUSY_MS = 30_000
"""How long a writer of SQLite waits for the one before."""
_POOL_S = 10
_POSTGRESQL = {
    "connect_timeout": 5,
    # A server that vanished without a word, as in a fail-over, is noticed after this many milliseconds.
    "tcp_user_timeout": 20_000,
    "options": "-c statement_timeout=20s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
}
"""Limits in libpq's terms; what the URL says itself goes before them. Nothing waits for a dead one for ever."""


Password = Callable[[], Awaitable[str]]
"""Gives the password for a connection that is about to be made."""


def open_database(url: str, password: Password | None = None) -> AsyncEngine:
    """Return an engine; no connection is made yet, and the caller disposes of it. Its errors show no values.

    With `password`, PostgreSQL is given that at each new connection; one that stands goes on when it ends.
    """
    if url.startswith("sqlite"):
        engine = create_async_engine(url, hide_parameters=True)
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "invalidate", _roll_back_sqlite)
        return engine
    at = make_url(url)
    limits = {name: value for name, value in _POSTGRESQL.items() if name not in at.query}
    # A connection that the server or a proxy has closed in the meantime is noticed before it is used.
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=_POOL_S,
        connect_args=limits,
        async_creator=password and partial(_connect, at, limits, password),
    )


async def _connect(url: URL, limits: dict[str, Any], password: Password) -> psycopg.AsyncConnection[Any]:
    arguments: dict[str, Any] = {**url.get_dialect()().create_connect_args(url)[1], **limits}
    arguments["password"] = await password()
    return await psycopg.AsyncConnection.connect(**arguments)


def reading(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that only read: in SQLite they wait for no writer."""
    return engine.execution_options(**{_READS: True})


def insert_for(connection: AsyncConnection) -> Callable[[Table], SqliteInsert] | Callable[[Table], PostgresqlInsert]:
    """Return `insert` of the connection's database: only those of the databases know what to do on a conflict."""
    return postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that begins as a reader could not become a writer after somebody else wrote.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(_READS) else "BEGIN IMMEDIATE")


_rolling_back: set[asyncio.Task[None]] = set()


def _roll_back_sqlite(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """End the transaction of a connection that is given up, as when the task that used it was cancelled.

    Closing it does not: SQLite keeps a connection with its lock until the last cursor is gone, which may live as
    long as the traceback of the cancellation (https://www.sqlite.org/c3ref/close.html). The closing comes after
    this in the connection's queue, so nothing waits here: a second cancellation could cut a wait.
    """
    task = asyncio.get_running_loop().create_task(connection.driver_connection.rollback())
    _rolling_back.add(task)
    task.add_done_callback(_rolled_back)


def _rolled_back(task: asyncio.Task[None]) -> None:
    _rolling_back.discard(task)
    if not task.cancelled():
        task.exception()  # a connection that was not even made has nothing to end
