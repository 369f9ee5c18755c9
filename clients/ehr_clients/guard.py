"""Where a configured address may lead: the guard against server-side request forgery.

FHIR base URLs come from people, so a name is resolved once, every address behind it is checked, and the connection goes
to the address that was checked: a name that resolves to something else a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx
from cryptography import x509
from cryptography.x509.oid import NameOID

from ehr_clients import limits
from ehr_clients.errors import RemoteError
from ehr_clients.transport import HttpTransport

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Gives the addresses behind a host name; raises OSError when there are none."""

_IPV4_AT_THE_END = tuple(
    ip_network(prefix) for prefix in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""IPv6 addresses that stand for the IPv4 address in their last 32 bits (RFC 4291, 6052, 8215; IANA's registry)."""
_IPV6_GLOBAL = ip_network("2000::/3")
"""All that IANA has given out as global unicast."""
_NOT_THE_INTERNET = (
    ip_network("168.63.129.16/32"),  # Azure's host services (learn.microsoft.com, "What is IP 168.63.129.16")
    ip_network("192.0.0.0/24"),  # RFC 6890; the metadata service of Oracle's cloud is among them
)
"""IPv4 addresses that Python takes for global, or does in some of its releases."""

_CONNECTIONS = 4
"""Connections to one host of one validation."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server's certificate says of itself, whether it is trusted or not: evidence for people, and for nothing else."""

    names: tuple[str, ...]
    """The DNS names that it holds for, as it has them."""
    issuer: str
    """The name of who issued it; empty where it has none."""
    not_before: datetime
    not_after: datetime


class ResolutionError(RemoteError):
    """The host name has no address."""


class AddressRefusedError(RemoteError):
    """The host name leads to an address that is not public and not among the allowed networks."""


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Return whether a connection to `address` may be made: public addresses, and those of the allowed networks.

    IPv4 addresses inside IPv6 (mapped, 6to4, NAT64) are judged as the IPv4 address that they reach.
    """
    inner = _embedded(address)
    if any(inner in network or address in network for network in allowed):
        return True
    if isinstance(inner, IPv6Address):
        return inner in _IPV6_GLOBAL and inner.is_global
    return inner.is_global and not inner.is_multicast and not any(inner in network for network in _NOT_THE_INTERNET)


def _embedded(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _IPV4_AT_THE_END):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


async def system_resolve(host: str, port: int) -> Sequence[Address]:
    """Resolve `host` as the operating system does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class GuardedTransport(httpx.AsyncBaseTransport):
    """A transport that connects only to checked addresses, and to the same address of a host for its whole life.

    Use one for each validation or endpoint: it is cheap, and its connections are shared with no other endpoint.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        allowed: Sequence[Network] = (),
        resolve: Resolve = system_resolve,
        max_connections: int = _CONNECTIONS,
    ) -> None:
        """Make at most `max_connections` at a time to each host; further requests wait for one of them."""
        self._tls = tls
        self._max_connections = max_connections
        self._allowed = allowed
        self._resolve = resolve
        self._pinned: dict[tuple[str, int], tuple[Address, HttpTransport]] = {}

    async def pin(self, host: str, port: int) -> Address:
        """Resolve and check `host` now, unless that was done before; return the address that connections go to.

        Raises:
            ResolutionError: The name has no address.
            AddressRefusedError: One of its addresses may not be connected to.
        """
        return (await self._pin(host, port))[0]

    async def presented_certificate(self, host: str, port: int) -> Certificate | None:
        """Return the certificate that the server shows at the checked address, unverified; None where it shows none.

        Nothing is sent over the connection. It is for telling why a certificate was not accepted.

        Raises:
            RemoteError: As for `pin`.
        """
        address, _ = await self._pin(host, port)
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        try:
            async with asyncio.timeout(limits.CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(str(address), port, ssl=unverified, server_hostname=host)
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError
            return None
        try:
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.transport.abort()
        return _certificate(der) if der else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` to the checked address, with the host name in `Host` and TLS server name."""
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        address, transport = await self._pin(url.host, port)
        pinned = httpx.Request(
            request.method,
            url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return await transport.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Close all connections."""
        for _, transport in self._pinned.values():
            await transport.aclose()

    async def _pin(self, host: str, port: int) -> tuple[Address, HttpTransport]:
        if (host, port) not in self._pinned:
            address = await self._checked_address(host, port)
            # A pool of its own for each host: pools are keyed by address, and a connection that was verified for one
            # name must not serve another.
            if (host, port) not in self._pinned:  # another request may have been quicker
                pool = httpx.Limits(max_connections=self._max_connections)
                self._pinned[host, port] = (address, HttpTransport(verify=self._tls, limits=pool))
        return self._pinned[host, port]

    async def _checked_address(self, host: str, port: int) -> Address:
        try:
            async with asyncio.timeout(limits.CONNECT_TIMEOUT_S):
                addresses = await self._resolve(host, port)
        except (OSError, TimeoutError, UnicodeError) as exc:  # a name that cannot be one is a UnicodeError
            raise ResolutionError("DNS", "resolve", f"'{host}' has no address") from exc
        refused = [address for address in addresses if not is_allowed(address, self._allowed)]
        if refused or not addresses:
            raise AddressRefusedError("DNS", "resolve", f"'{host}' leads to {refused[0] if refused else 'no address'}")
        return addresses[0]


def _certificate(der: bytes) -> Certificate | None:
    with contextlib.suppress(ValueError, x509.InvalidVersion):
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            _names(found), _common_name(found.issuer), found.not_valid_before_utc, found.not_valid_after_utc
        )
    return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        name = _common_name(certificate.subject)
        return (name,) if name else ()
    return tuple(alternatives.get_values_for_type(x509.DNSName))


def _common_name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return str(attribute.value)
    return ""
