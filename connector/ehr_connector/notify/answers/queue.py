"""The queue of answers, opened as its setting says: with the signature in its address, or with the pod's identity."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from ehr_clients.acs_auth import EntraTokenAuth
from ehr_clients.http import client
from ehr_clients.storage_queue import ENTRA_SCOPE, StorageQueue
from ehr_clients.workload_identity import WorkloadIdentity


class AnswerQueue:
    """An open queue."""

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        *,
        entra_authority: str,
        entra_instance_discovery: bool,
        environment: Mapping[str, str],
    ) -> None:
        """Take the address as its setting has it; `environment` is that of the process.

        Raises:
            CredentialError: The address has no signature, and the pod no identity.
        """
        self._identity: WorkloadIdentity | None = None
        if "sig" not in parse_qs(urlsplit(url).query):
            self._identity = WorkloadIdentity(
                environment,
                ENTRA_SCOPE,
                authority=entra_authority,
                instance_discovery=entra_instance_discovery,
                tls=tls,
            )
        self._http = client(tls=tls, auth=EntraTokenAuth(self._identity.token) if self._identity else None)
        self.queue = StorageQueue(self._http, url)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        if self._identity is not None:
            await self._identity.aclose()
