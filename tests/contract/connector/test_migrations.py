"""The migrations lead from nothing to the tables as the code knows them, and back, on either database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store import migrate as migrate_module
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate, pending
from ehr_connector.store.schema import metadata

FOLDER = Path(migrate_module.__file__).parent / "migrations" / "versions"
NEWEST = max(path.name.partition("_")[0] for path in FOLDER.glob("[0-9]*_*.py"))


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    engine = open_database(database_url)
    yield engine
    await engine.dispose()


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda connection: inspect(connection).get_table_names()))


async def test_an_empty_database_comes_to_the_newest_revision(engine: AsyncEngine) -> None:
    assert await pending(engine)
    assert await migrate(engine) == NEWEST
    assert not await pending(engine)
    assert await tables(engine) == {*metadata.tables, "alembic_version"}


async def test_a_second_migration_changes_nothing(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO record_evidence (namespace, name, record, last_seen_launch)"
                " VALUES ('a', 'b', 'c', '2026-01-01 00:00:00')"
            )
        )
    assert await migrate(engine) == NEWEST
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM record_evidence"))).scalar_one() == 1


async def test_the_migrated_tables_are_those_of_the_code(engine: AsyncEngine) -> None:
    await migrate(engine)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_constraints_have_the_names_of_the_code(engine: AsyncEngine) -> None:
    await migrate(engine)

    def names(connection: Connection) -> set[str | None]:
        inspector = inspect(connection)
        return {
            name
            for table in metadata.tables
            for name in (
                inspector.get_pk_constraint(table)["name"],
                *(key["name"] for key in inspector.get_foreign_keys(table)),
                *(key["name"] for key in inspector.get_unique_constraints(table)),
            )
        }

    expected = {str(item.name) for table in metadata.tables.values() for item in table.constraints}
    async with engine.connect() as connection:
        assert await connection.run_sync(names) == expected


async def test_the_way_back_leaves_nothing(engine: AsyncEngine) -> None:
    await migrate(engine)

    def downgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate_module.__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async with engine.begin() as connection:
        await connection.run_sync(downgrade)
    assert await tables(engine) == {"alembic_version"}
    assert await pending(engine)
    assert await migrate(engine) == NEWEST


async def test_a_schema_of_a_newer_version_is_served_and_left_as_it_is(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not await pending(engine)
    assert await migrate(engine) == "9999"
    assert {*metadata.tables} <= await tables(engine)


async def test_replicas_that_start_at_once_migrate_once(database_url: str) -> None:
    engines = [open_database(database_url) for _ in range(4)]
    try:
        assert await asyncio.gather(*(migrate(engine) for engine in engines)) == [NEWEST] * 4
    finally:
        for engine in engines:
            await engine.dispose()


async def test_a_claim_goes_with_its_organization(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO organization (namespace, name, digest, document, configured_at)"
                " VALUES ('a', 'b', 'd', '{}', '2026-01-01 00:00:00')"
            )
        )
        await connection.execute(
            text("INSERT INTO base_url_claim (base_url, namespace, name, endpoint) VALUES ('https://x', 'a', 'b', 'c')")
        )
        await connection.execute(text("DELETE FROM organization"))
        assert (await connection.execute(text("SELECT count(*) FROM base_url_claim"))).scalar_one() == 0
