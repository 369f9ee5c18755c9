"""The simulator's own addresses, as the caller of a request reaches them."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from ehr_sandbox.graph.settings import GraphSettings


def address_of(connection: HTTPConnection, settings: GraphSettings) -> str:
    """Return the simulator's address without a trailing slash."""
    if settings.public_url is not None:
        return settings.public_url
    return f"{connection.url.scheme}://{connection.headers.get('host') or connection.url.netloc}"


def issuer(settings: GraphSettings, address: str, tenant: str) -> str:
    """Return the issuer of a tenant's version 2 tokens."""
    return settings.issuer.format(url=address, tenant=tenant)


def issuer_v1(settings: GraphSettings, address: str, tenant: str) -> str:
    """Return the issuer of a tenant's version 1 tokens, which are also those in notifications."""
    return settings.issuer_v1.format(url=address, tenant=tenant)
