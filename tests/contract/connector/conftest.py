"""Fixtures: an issuer of tokens over HTTPS, a database of each sort, and connectors in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.connector.hospital import LOOPBACK, Cerner, StrangeEhr, running_cerner
from contract.connector.issuer import Issuer
from contract.connector.postgresql import PostgreSql, running_postgresql
from contract.connector.running import Connector, Starter

from ehr_connector.keys.make import new_keys
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    """The authority of everything that speaks TLS here."""
    authority = LocalCA.create(tmp_path_factory.mktemp("ca"))
    authority.server_certificate("local", "127.0.0.1", "localhost")
    return authority


@pytest.fixture(scope="session")
def certificate(ca: LocalCA) -> tuple[Path, Path]:
    """Chain and key of a server on this machine."""
    return ca.server_certificate("local", "127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """One server for all tests of a run."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database that is a file."""
    return f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database, once of each sort."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture
async def issuer(certificate: tuple[Path, Path]) -> AsyncGenerator[Issuer]:
    """The issuer of the operator's tokens."""
    issuer = Issuer()
    chain, key = certificate
    async with serve(issuer.app, ssl_certfile=chain, ssl_keyfile=key) as issuer.url:
        yield issuer


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    """A folder with a key that signs already."""
    folder = tmp_path / "keys"
    new_keys(folder, datetime.now(UTC) - timedelta(days=1))
    return folder


@pytest.fixture
async def start(issuer: Issuer, ca: LocalCA, keys_dir: Path) -> AsyncGenerator[Starter]:
    """Starts connectors."""
    async with AsyncExitStack() as resources:
        yield Starter(issuer, ca, keys_dir, resources)


@pytest.fixture
async def connector(start: Starter, database_url: str) -> Connector:
    """A connector on an empty database, once of each sort."""
    return await start(database_url)


@pytest.fixture
async def small(start: Starter, sqlite_url: str) -> Connector:
    """A connector on SQLite, for what has nothing to do with the database."""
    return await start(sqlite_url)


@pytest.fixture
async def reaching(start: Starter, sqlite_url: str) -> Connector:
    """A connector that may reach servers on this machine."""
    return await start(sqlite_url, allowed_networks=LOOPBACK)


@pytest.fixture
async def cerner(reaching: Connector, ca: LocalCA, certificate: tuple[Path, Path]) -> AsyncGenerator[Cerner]:
    """The stand-in of the EHR."""
    async with running_cerner(reaching, ca, certificate) as running:
        yield running


@pytest.fixture
async def strange(certificate: tuple[Path, Path]) -> AsyncGenerator[StrangeEhr]:
    """An EHR whose answers a test sets."""
    ehr = StrangeEhr()
    chain, key = certificate
    async with serve(ehr.app, ssl_certfile=chain, ssl_keyfile=key) as ehr.origin:
        yield ehr
