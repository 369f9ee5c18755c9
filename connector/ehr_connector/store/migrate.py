"""Brings the database to the newest schema; safe to run by several replicas at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import reading

_FOLDER = Path(__file__).with_name("migrations")
_LOCK = 0x45485243
"""Key of the advisory lock under which PostgreSQL lets one replica migrate while the others wait."""


async def migrate(engine: AsyncEngine) -> str:
    """Apply what is missing, in one transaction, and return the revision that stands.

    A schema of a newer version is left as it is: a migration only adds what the version before can do without, so that
    this one serves while it is being replaced, and after a roll-back.
    """
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Another replica's migration is waited for, and a long one is not cut off.
            for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET LOCAL {limit} = 0"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await connection.run_sync(_upgrade)
        return await connection.run_sync(_current) or ""


async def pending(engine: AsyncEngine) -> bool:
    """Return whether the database lacks a migration of this version."""
    async with reading(engine).connect() as connection:
        current = await connection.run_sync(_current)
        return current != _head() and not _is_newer(current)


def _upgrade(connection: Connection) -> None:
    if _is_newer(_current(connection)):
        return
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _head() -> str:
    return ScriptDirectory(str(_FOLDER)).get_current_head() or ""


def _is_newer(revision: str | None) -> bool:
    # Revisions are counted, in four digits.
    return revision is not None and revision > _head()
