"""The remote systems that a spec may name, and which of them the operator trusts with its credentials.

A control URL and a Communication Services endpoint stand in a spec, so whoever may write one could send the operator's
token to a server of their own. Credentials therefore go only to addresses that the platform team has listed, and to
Azure's own domains.
"""

from __future__ import annotations

from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.control import Control
from ehr_clients.http import Http
from ehr_operator.runtime.external import Calls

T = TypeVar("T")

_AZURE_DOMAINS = (".communication.azure.com", ".communication.azure.us")


class UntrustedUrlError(Exception):
    """A spec names an address to which the operator sends no credentials."""

    def __init__(self, url: str) -> None:
        super().__init__(
            "the operator sends its credentials only to servers that the platform team has listed. Platform team: add"
            f" {origin(url)} to EHR_OPERATOR_TRUSTED_URLS and restart the operator; author: or correct the address"
        )


class Remotes(Protocol):
    """Clients of the systems that a spec names."""

    def control(self, control_url: str) -> Control:
        """Return the client of a connector.

        Raises:
            UntrustedUrlError: The address is not trusted.
        """
        ...

    def phone_numbers(self, endpoint: str) -> PhoneNumbers:
        """Return the client of a Communication Services resource.

        Raises:
            UntrustedUrlError: The address is not trusted.
        """
        ...


class HttpRemotes:
    """Remotes over HTTP."""

    def __init__(
        self,
        *,
        trusted_urls: tuple[str, ...],
        control_http: Http,
        communication_http: Http,
        calls: Calls | None = None,
    ) -> None:
        self._trusted = frozenset(origin(url) for url in trusted_urls)
        self._control_http = control_http
        self._communication_http = communication_http
        self._calls = calls

    def control(self, control_url: str) -> Control:
        """Return the client of a connector."""
        if origin(control_url) not in self._trusted:
            raise UntrustedUrlError(control_url)
        return self._counted(Control(self._control_http, control_url), "connector")

    def phone_numbers(self, endpoint: str) -> PhoneNumbers:
        """Return the client of a Communication Services resource."""
        if origin(endpoint) not in self._trusted and not _is_azure(endpoint):
            raise UntrustedUrlError(endpoint)
        return self._counted(PhoneNumbers(self._communication_http, endpoint), "communication-services")

    def _counted(self, client: T, system: str) -> T:
        return client if self._calls is None else self._calls.of(client, system)


def _is_azure(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.hostname or "").endswith(_AZURE_DOMAINS)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, the port always written out; the URL itself where its port is none."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}:{port}"
