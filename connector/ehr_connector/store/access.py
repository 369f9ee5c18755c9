"""The database as its settings say, and how the connector proves itself to it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RemoteError
from ehr_clients.http import tls_context
from ehr_clients.workload_identity import WorkloadIdentity
from ehr_connector.settings import DatabaseSettings
from ehr_connector.store.database import open_database

_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
"""What Azure Database for PostgreSQL wants a token for (Microsoft Learn, "Use Microsoft Entra ID for authentication")."""


class Database:
    """The engine, and the identity whose tokens are its passwords where the settings ask for them."""

    engine: AsyncEngine

    def __init__(self, settings: DatabaseSettings, environment: Mapping[str, str] = os.environ) -> None:
        """Connect to nothing yet.

        Raises:
            CredentialError: The settings ask for an identity that the process has not been given.
        """
        self._identity = None
        if settings.database_credential is not None:
            self._identity = WorkloadIdentity(
                environment,
                _SCOPE,
                authority=settings.entra_authority,
                instance_discovery=settings.entra_instance_discovery,
                tls=tls_context(settings.ca_file),
            )
        self.engine = open_database(settings.database_url, self._identity and self._password)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
        if self._identity is not None:
            await self._identity.aclose()

    async def _password(self) -> str:
        """Return a token for a connection that is being made.

        Raises:
            psycopg.OperationalError: There is none; to all who use the database it is then away.
        """
        assert self._identity is not None  # noqa: S101 (only then is it the engine's)
        try:
            return await self._identity.token()
        except (CredentialError, RemoteError) as exc:
            raise psycopg.OperationalError(f"no token for the database: {exc}") from exc


@asynccontextmanager
async def opened(settings: DatabaseSettings) -> AsyncGenerator[AsyncEngine]:
    """Give the engine for the time of the block."""
    database = Database(settings)
    try:
        yield database.engine
    finally:
        await database.aclose()
