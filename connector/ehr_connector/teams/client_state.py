"""The client state of a subscription: names its visit, and proves that we made it. Graph sends it back with each notification."""

from __future__ import annotations

import hmac

from ehr_connector.keys.secret import SecretKeys

_PURPOSE = "graph client state"
_SEPARATOR = "."


def client_state_of(keys: SecretKeys, visit: str) -> str:
    """Return the client state of a visit's subscription, 87 of the 128 characters that Graph takes."""
    return f"{visit}{_SEPARATOR}{keys.name(_PURPOSE, visit)}"


def visit_of(keys: SecretKeys, client_state: str) -> str | None:
    """Return the visit that a client state names, if we made it; the comparison takes the same time for any."""
    visit, _, proof = client_state.partition(_SEPARATOR)
    expected = keys.name(_PURPOSE, visit)
    return visit if hmac.compare_digest(expected.encode(), proof.encode()) else None
