"""The client state of a subscription: names what it is for, and proves that we made it. Graph sends it back each time."""

from __future__ import annotations

import hmac

from ehr_connector.keys.secret import SecretKeys

_VISIT, _TENANT = "graph client state", "graph client state of a tenant"
_SEPARATOR = "."


def client_state_of(keys: SecretKeys, visit: str) -> str:
    """Return the client state of a visit's subscription, 87 of the 128 characters that Graph takes."""
    return _state(keys, _VISIT, visit)


def visit_of(keys: SecretKeys, client_state: str) -> str | None:
    """Return the visit that a client state names, if we made it; the comparison takes the same time for any."""
    return _named(keys, _VISIT, client_state)


def tenant_state_of(keys: SecretKeys, tenant_id: str) -> str:
    """Return the client state of the subscription to a tenant's call records."""
    return _state(keys, _TENANT, tenant_id.lower())


def tenant_of(keys: SecretKeys, client_state: str) -> str | None:
    """Return the tenant that a client state names, if we made it."""
    return _named(keys, _TENANT, client_state)


def _state(keys: SecretKeys, purpose: str, name: str) -> str:
    return f"{name}{_SEPARATOR}{keys.name(purpose, name)}"


def _named(keys: SecretKeys, purpose: str, client_state: str) -> str | None:
    name, _, proof = client_state.partition(_SEPARATOR)
    expected = keys.name(purpose, name)
    return name if hmac.compare_digest(expected.encode(), proof.encode()) else None
