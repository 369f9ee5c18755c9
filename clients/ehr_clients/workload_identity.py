"""Who a pod is to Azure: its service account's token, which Entra ID takes in place of a secret."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from ehr_clients.entra.applications import Applications
from ehr_clients.entra.credentials import CredentialError, FederatedToken
from ehr_clients.entra.tokens import AppTokens

SETTING = "workload-identity"
"""What a setting says that asks for it."""
_TENANT, _CLIENT, _TOKEN_FILE = "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"


class WorkloadIdentity:
    """Tokens of the pod's managed identity for one scope; they are kept while they are good, and renewed before they end."""

    def __init__(
        self,
        environment: Mapping[str, str],
        scope: str,
        *,
        authority: str,
        instance_discovery: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take what Azure's webhook has put into the process's `environment`.

        Raises:
            CredentialError: It is not there.
        """
        missing = [name for name in (_TENANT, _CLIENT, _TOKEN_FILE) if not environment.get(name)]
        if missing:
            raise CredentialError(f"{SETTING} needs {', '.join(missing)}, which Azure's webhook sets in the pod")
        self._tenant, self._client = environment[_TENANT], environment[_CLIENT]
        self._entra = Applications(
            authority,
            credential=FederatedToken(Path(environment[_TOKEN_FILE])),
            instance_discovery=instance_discovery,
            tls=tls,
        )
        self._tokens = AppTokens(self._entra, scope)

    async def token(self) -> str:
        """Return a token that is good for five minutes at least.

        Raises:
            CredentialError: The service account's token cannot be read.
            RemoteError: Entra refused, or gave no usable answer.
        """
        return (await self._tokens.token(self._tenant, self._client)).value

    async def aclose(self) -> None:
        """Close the connections to Entra."""
        await self._entra.close()
