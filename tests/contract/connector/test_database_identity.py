"""The connector proves itself to PostgreSQL with the token of its pod, and goes on as tokens come and go."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import psycopg
import pytest
from contract.connector.postgresql import PostgreSql
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_clients.errors import TemporaryError
from ehr_connector.settings import DatabaseSettings
from ehr_connector.store.access import Database
from ehr_connector.store.migrate import migrate, pending
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

TENANT, CLIENT = "72f988bf-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000077"
SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
LONG_S, SHORT_S = 3600, 300
"""Lives of a token: one is used again, the other is too near its end for another connection."""


@dataclass
class Issuer:
    """Entra and the database in one: the token issued last is the role's password, and no earlier one is."""

    postgresql: PostgreSql
    role: str
    assertion: str
    life_s: int = LONG_S
    fails: bool = False
    issued: list[str] = field(default_factory=list[str])

    def app(self) -> Starlette:
        token = Route(f"/{TENANT}/oauth2/v2.0/token", self.token, methods=["POST"])
        return Starlette(routes=[Route(f"/{TENANT}/v2.0/.well-known/openid-configuration", self.discovery), token])

    async def discovery(self, request: Request) -> Response:
        base = str(request.base_url) + TENANT
        return JSONResponse(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
        )

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if self.fails:
            return Response(status_code=503)
        if form.get("client_assertion") != self.assertion or form.get("scope") != SCOPE or form["client_id"] != CLIENT:
            return JSONResponse({"error": "invalid_client", "error_description": "AADSTS700213: no."}, 401)
        token = secrets.token_urlsafe(900)  # as long as Entra's, and longer than passwords usually are
        await asyncio.to_thread(self.postgresql.run, f"ALTER ROLE {self.role} PASSWORD '{token}'")
        self.issued.append(token)
        return JSONResponse({"token_type": "Bearer", "expires_in": self.life_s, "access_token": token})


@contextmanager
def asking_passwords_of(postgresql: PostgreSql, role: str) -> Iterator[None]:
    """Let a role in with its password alone; all others come in as before."""
    with psycopg.connect(postgresql.own_url) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
    assert row is not None
    rules = Path(row[0])
    before = rules.read_text()
    postgresql.run(f"CREATE ROLE {role} LOGIN")
    rules.write_text(f"local all {role} scram-sha-256\nhost all {role} all scram-sha-256\n{before}")
    postgresql.run("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        rules.write_text(before)
        postgresql.run("SELECT pg_reload_conf()")


@pytest.fixture
async def entra(postgresql: PostgreSql) -> AsyncGenerator[Issuer]:
    role = f"ehr_connector_{secrets.token_hex(4)}"
    with asking_passwords_of(postgresql, role):
        yield Issuer(postgresql, role, secrets.token_hex(8))


@pytest.fixture
async def settings(
    entra: Issuer, ca: LocalCA, certificate: tuple[Path, Path], tmp_path: Path
) -> AsyncGenerator[DatabaseSettings]:
    """What a pod with a workload identity is told."""
    chain, key = certificate
    (tmp_path / "token").write_text(entra.assertion)
    with entra.postgresql.database() as url:
        at = make_url(url)
        entra.postgresql.run(f'ALTER DATABASE "{at.database}" OWNER TO {entra.role}')
        async with serve(entra.app(), ssl_certfile=chain, ssl_keyfile=key) as authority:
            yield DatabaseSettings(
                database_url=at.set(username=entra.role, password=None).render_as_string(hide_password=False),
                database_credential="workload-identity",
                entra_authority=authority,
                entra_instance_discovery=False,
                ca_file=ca.ca_file,
            )
        # What the role owns goes with the database.
        entra.postgresql.run(f'ALTER DATABASE "{at.database}" OWNER TO postgres')


@pytest.fixture
async def engine(settings: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[AsyncEngine]:
    """The database as the connector opens it."""
    environment = {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
    }
    database = Database(settings, environment)
    yield database.engine
    await database.aclose()


async def user_of(engine: AsyncEngine) -> str:
    async with engine.connect() as connection:
        return str((await connection.execute(text("SELECT current_user"))).scalar_one())


async def test_the_token_of_the_pod_opens_the_database(engine: AsyncEngine, entra: Issuer) -> None:
    await migrate(engine)

    assert not await pending(engine)
    assert await user_of(engine) == entra.role


async def test_connections_share_a_token_while_it_is_good(engine: AsyncEngine, entra: Issuer) -> None:
    async with engine.connect(), engine.connect():
        assert len(entra.issued) == 1


async def test_a_new_connection_gets_a_new_token_when_the_last_one_ends(engine: AsyncEngine, entra: Issuer) -> None:
    entra.life_s = SHORT_S
    async with engine.connect() as first, engine.connect() as second:
        assert len(set(entra.issued)) == 2
        # One that stands is not asked again, although its token is good for nothing any more.
        for connection in (first, second):
            assert (await connection.execute(text("SELECT current_user"))).scalar_one() == entra.role


async def test_a_token_that_is_refused_is_the_databases_error_and_not_shown(engine: AsyncEngine, entra: Issuer) -> None:
    assert await user_of(engine) == entra.role
    await engine.dispose()
    entra.postgresql.run(f"ALTER ROLE {entra.role} PASSWORD 'another'")

    with pytest.raises(OperationalError, match="password authentication failed") as refused:
        await user_of(engine)

    assert entra.issued[0] not in str(refused.value)


async def test_without_entra_the_database_is_away_until_entra_is_back(engine: AsyncEngine, entra: Issuer) -> None:
    entra.fails = True
    with pytest.raises(DBAPIError, match="no token for the database") as failed:
        await user_of(engine)
    entra.fails = False

    assert isinstance(failed.value.orig, psycopg.OperationalError)
    assert isinstance(failed.value.orig.__cause__, TemporaryError)
    assert await user_of(engine) == entra.role
