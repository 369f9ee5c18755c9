"""The clients of Communication Services, one resource an organisation.

The endpoint stands in a spec, so whoever may write one could have the connector's credential sent to a server of their own. It
goes to Azure's own domains and to what the platform team has listed, and nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ehr_clients.acs_auth import ENTRA_SCOPE, AccessKeyAuth, EntraTokenAuth
from ehr_clients.acs_email import Email
from ehr_clients.acs_sms import Sms
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.http import Auth, Http, client
from ehr_clients.workload_identity import SETTING as WORKLOAD_IDENTITY
from ehr_clients.workload_identity import WorkloadIdentity

_AZURE_DOMAINS = (".communication.azure.com", ".communication.azure.us")


class ProviderError(Exception):
    """The credential cannot be used; the message says why."""


class Providers:
    """Gives the clients of an endpoint."""

    def __init__(
        self,
        credential: str | None,
        trusted_urls: Sequence[str],
        tls: ssl.SSLContext,
        *,
        entra_authority: str,
        entra_instance_discovery: bool,
        environment: Mapping[str, str],
    ) -> None:
        """Take `credential` as its setting has it; `environment` is that of the process.

        Raises:
            ProviderError: The credential cannot be used.
        """
        self._trusted = frozenset(_origin(url) for url in trusted_urls)
        self._identity: WorkloadIdentity | None = None
        self._http: Http | None = None
        if credential is not None:
            auth = self._auth(credential, tls, entra_authority, entra_instance_discovery, environment)
            self._http = client(tls=tls, auth=auth)

    def serves(self, endpoint: str | None) -> bool:
        """Return whether there is a credential, and the endpoint may have it."""
        return self._http is not None and endpoint is not None and self._is_trusted(endpoint)

    def sms(self, endpoint: str) -> Sms:
        """Return the client of text messages; the endpoint must be served."""
        return Sms(self._served(endpoint), endpoint)

    def email(self, endpoint: str) -> Email:
        """Return the client of e-mail; the endpoint must be served."""
        return Email(self._served(endpoint), endpoint)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
        if self._identity is not None:
            await self._identity.aclose()

    def _served(self, endpoint: str) -> Http:
        if self._http is None or not self._is_trusted(endpoint):
            raise ProviderError(f"{_origin(endpoint)} is not served")
        return self._http

    def _is_trusted(self, endpoint: str) -> bool:
        parts = urlsplit(endpoint)
        is_azure = parts.scheme == "https" and (parts.hostname or "").endswith(_AZURE_DOMAINS)
        return is_azure or _origin(endpoint) in self._trusted

    def _auth(
        self,
        credential: str,
        tls: ssl.SSLContext,
        authority: str,
        instance_discovery: bool,
        environment: Mapping[str, str],
    ) -> Auth:
        if credential != WORKLOAD_IDENTITY:
            return _access_key(Path(credential.removeprefix("file:")))
        try:
            self._identity = WorkloadIdentity(
                environment, ENTRA_SCOPE, authority=authority, instance_discovery=instance_discovery, tls=tls
            )
        except CredentialError as exc:
            raise ProviderError(str(exc)) from exc
        return EntraTokenAuth(self._identity.token)


def resource_name(endpoint: str) -> str | None:
    """Return the name of the Communication Services resource, or None of an endpoint outside Azure's domains."""
    host = (urlsplit(endpoint).hostname or "").casefold()
    return host.partition(".")[0] if host.endswith(_AZURE_DOMAINS) else None


def _access_key(path: Path) -> Auth:
    try:
        return AccessKeyAuth(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as exc:
        raise ProviderError(f"{path} must hold the access key of Communication Services: {exc}") from exc


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL, the port always written out; the URL itself where its port is none."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}:{port}"
