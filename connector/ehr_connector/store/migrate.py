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
    """Apply what is missing, in one transaction, and return the revision that stands."""
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await connection.run_sync(_upgrade)
        return await connection.run_sync(_current) or ""


async def pending(engine: AsyncEngine) -> bool:
    """Return whether the database lacks a migration of this version."""
    async with reading(engine).connect() as connection:
        return await connection.run_sync(_current) != ScriptDirectory(str(_FOLDER)).get_current_head()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
