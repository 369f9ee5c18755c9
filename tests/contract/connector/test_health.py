"""What the connector says of its health, its keys and its numbers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from contract.connector.postgresql import PostgreSql
from contract.connector.running import Connector, Starter, organization
from sqlalchemy import text

from ehr_connector.keys.files import KeysError
from ehr_connector.keys.signing import new_signing_key
from ehr_connector.store.database import open_database


async def test_a_connector_that_works_is_alive_and_ready(connector: Connector) -> None:
    for path in ("/livez", "/readyz"):
        answer = await connector.http.get(path)
        assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_a_missing_migration_makes_it_unready_and_names_the_remedy(
    connector: Connector, database_url: str
) -> None:
    engine = open_database(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    await engine.dispose()
    answer = await connector.http.get("/readyz")
    assert (answer.status_code, "python -m ehr_connector migrate" in answer.text) == (503, True)
    assert (await connector.http.get("/livez")).status_code == 200


async def test_a_database_that_is_gone_makes_it_unready_and_leaves_it_alive(
    start: Starter, postgresql: PostgreSql
) -> None:
    with postgresql.database() as url:
        connector = await start(url)
        postgresql.run(f"DROP DATABASE {_name(url)} WITH (FORCE)")
        answer = await connector.http.get("/readyz")
        assert (answer.status_code, "the database does not answer" in answer.text) == (503, True)
        assert "postgres:" not in answer.text
        assert (await connector.http.get("/livez")).status_code == 200


async def test_it_is_ready_again_once_the_database_is_back(start: Starter, postgresql: PostgreSql) -> None:
    with postgresql.database() as url:
        connector = await start(url)
        postgresql.run(f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS false")
        postgresql.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(url)}'")
        assert (await connector.http.get("/readyz")).status_code == 503
        postgresql.run(f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS true")
        assert (await connector.http.get("/readyz")).status_code == 200


async def test_connections_that_the_server_closed_are_noticed_before_they_are_used(
    start: Starter, postgresql: PostgreSql
) -> None:
    with postgresql.database() as url:
        connector = await start(url)
        await connector.put_new(organization())
        postgresql.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(url)}'")
        await connector.put_new(organization("second"))
        assert (await connector.http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("suffix", ["jwk.json", "secret.json", "names.json", "notification.pem"])
async def test_a_broken_key_beside_a_good_one_is_named_and_takes_no_replica_down(
    small: Connector, keys_dir: Path, suffix: str
) -> None:
    assert (await small.http.get("/readyz")).text == "ok\n"
    (keys_dir / f"broken.{suffix}").write_text("half a key")
    answer = await small.http.get("/readyz")
    assert (answer.status_code, f"broken.{suffix}" in answer.text) == (200, True)
    assert "half a key" not in answer.text


async def test_without_a_key_for_notifications_it_serves_and_says_so(small: Connector, keys_dir: Path) -> None:
    for path in [path for path in keys_dir.iterdir() if path.name.endswith(".notification.pem")]:  # noqa: ASYNC240 (small)
        path.unlink()
    answer = await small.http.get("/readyz")
    assert (answer.status_code, "no *.notification.pem" in answer.text) == (200, True)


async def test_without_a_key_it_does_not_start(start: Starter, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeysError, match="new-key"):
        await start(sqlite_url, keys_dir=tmp_path / "empty")


async def test_the_jwks_may_be_cached_shorter_than_a_key_waits(small: Connector, keys_dir: Path) -> None:
    fresh = new_signing_key(keys_dir, datetime.now(UTC))
    answer = await small.http.get("/.well-known/jwks.json")
    assert answer.headers["Content-Type"].partition(";")[0] == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    keys = json.loads(answer.text)["keys"]
    assert fresh.name.removesuffix(".jwk.json") in {key["kid"] for key in keys}
    assert len(keys) == 2
    assert not [key for key in keys if "d" in key]


async def test_reading_a_configuration_does_not_wait_for_a_writer(connector: Connector, database_url: str) -> None:
    await connector.put_new(organization())
    engine = open_database(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM organization"))
        answer = await asyncio.wait_for(connector.get("/control/v1/organizations/lamna/lamna/configuration"), timeout=5)
        await connection.rollback()
    await engine.dispose()
    assert answer.status_code == 200


async def test_metrics_count_the_organizations(connector: Connector) -> None:
    await connector.put_new(organization())
    await connector.put_new(organization("second"))
    assert "ehr_connector_organizations 2.0" in (await connector.http.get("/metrics")).text


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


async def test_readiness_does_not_wait_for_a_writer(connector: Connector, database_url: str) -> None:
    engine = open_database(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM record_evidence"))
        answer = await asyncio.wait_for(connector.http.get("/readyz"), timeout=5)
        await connection.rollback()
    await engine.dispose()
    assert answer.status_code == 200


async def test_metrics_are_given_while_the_database_is_gone(start: Starter, postgresql: PostgreSql) -> None:
    with postgresql.database() as url:
        connector = await start(url)
        postgresql.run(f"DROP DATABASE {_name(url)} WITH (FORCE)")
        answer = await connector.http.get("/metrics")
        assert answer.status_code == 200
