"""The public keys of the issuers that federated credentials name, fetched as their discovery documents say."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import TypeAdapter, ValidationError

from ehr_sandbox.graph.world import FederatedCredential

_TIMEOUT_S = 5.0
_object = TypeAdapter(dict[str, Any])


class KeysUnavailableError(Exception):
    """The keys cannot be had."""


async def keys_of(credential: FederatedCredential, ca_file: Path | None) -> KeySet:
    """Return an issuer's keys.

    Raises:
        KeysUnavailableError: Its address does not answer with a set of keys.
    """
    try:
        if credential.jwks is not None:
            return key_set(credential.jwks)
        trust = ssl.create_default_context(cafile=ca_file)
        async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=_TIMEOUT_S) as http:
            url = credential.jwks_url
            if url is None:
                discovery = f"{credential.issuer.rstrip('/')}/.well-known/openid-configuration"
                url = str((await _get(http, discovery))["jwks_uri"])
            return key_set(await _get(http, url))
    except (httpx.HTTPError, ValidationError, KeyError, ValueError, JoseError) as exc:
        raise KeysUnavailableError(f"the keys of '{credential.issuer}' cannot be had") from exc


def key_set(document: dict[str, Any]) -> KeySet:
    """Return the keys of a JWKS document; raises ValueError when it is none."""
    try:
        return KeySet.import_key_set(document)  # pyright: ignore[reportArgumentType]  # typed as a TypedDict there
    except (KeyError, TypeError, AttributeError, JoseError) as exc:
        raise ValueError("must be a JWKS") from exc


async def _get(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await http.get(url, headers={"Accept": "application/json"})
    return _object.validate_json(answer.raise_for_status().content)
