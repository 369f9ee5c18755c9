"""A database of an earlier version comes to the newest schema with everything that is in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_connector.store import migrate as migrate_module
from ehr_connector.store.database import open_database
from ehr_connector.store.evidence import evidence_of
from ehr_connector.store.migrate import migrate, pending

DOCUMENT = OrganizationConfiguration.model_validate(ORGANIZATION_CONFIGURATION).model_dump_json(by_alias=True)
ROWS = {
    "organization": {
        "namespace": "a",
        "name": "b",
        "digest": "sha256:0",
        "document": DOCUMENT,
        "configured_at": "2026-01-01 00:00:00.000001",
    },
    "base_url_claim": {"base_url": "https://x.example/r4", "namespace": "a", "name": "b", "endpoint": "c"},
    "profile_evidence": {
        "namespace": "a",
        "name": "b",
        "endpoint": "c",
        "profile_digest": "sha256:" + "1" * 64,
        "provider_launches": 3,
        "patient_joins": 2,
        "last_seen": "2026-01-01 00:00:00.000001",
    },
    "record_evidence": {"namespace": "a", "name": "b", "record": "r", "last_seen_launch": "2026-01-01 00:00:00.000001"},
}


@pytest.fixture
async def old(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """A database at the first revision, with a row in each table."""

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate_module.__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    engine = open_database(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
        for table, row in ROWS.items():
            columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            await connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
    yield engine
    await engine.dispose()


async def _rows(engine: AsyncEngine) -> dict[str, list[tuple[object, ...]]]:
    async with engine.connect() as connection:
        return {
            table: [tuple(row) for row in await connection.execute(text(f"SELECT {', '.join(row)} FROM {table}"))]
            for table, row in ROWS.items()
        }


async def test_every_row_is_kept(old: AsyncEngine) -> None:
    before = await _rows(old)
    assert await pending(old)
    await migrate(old)
    assert not await pending(old)
    assert await _rows(old) == before
    assert [len(rows) for rows in before.values()] == [1, 1, 1, 1]


async def test_the_new_version_reads_what_the_old_one_wrote(old: AsyncEngine) -> None:
    await migrate(old)
    evidence = await evidence_of(old, "a", "b")
    assert [(one.provider_launches, one.patient_joins) for one in evidence.profiles] == [(3, 2)]
    assert [one.record for one in evidence.records] == ["r"]


async def test_a_base_url_is_claimed_in_the_form_that_all_ways_to_write_it_have_in_common(old: AsyncEngine) -> None:
    claims = text("INSERT INTO base_url_claim (base_url, namespace, name, endpoint) VALUES (:url, 'a', 'b', :url)")
    async with old.begin() as connection:
        for path in ("/FHIR/R4", "/api/./t", "/api/t"):
            await connection.execute(claims, {"url": f"https://y.example{path}"})
    await migrate(old)
    async with old.connect() as connection:
        found = await connection.execute(text("SELECT endpoint, base_url FROM base_url_claim WHERE endpoint <> 'c'"))
        assert {row.endpoint: row.base_url for row in found} == {
            "https://y.example/FHIR/R4": "https://y.example/fhir/r4",
            "https://y.example/api/t": "https://y.example/api/t",
            "https://y.example/api/./t": "https://y.example/api/./t",
        }
