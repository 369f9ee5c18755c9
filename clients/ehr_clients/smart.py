"""SMART on FHIR: discovery, and system access by SMART Backend Services with an asymmetric key.

Source: SMART App Launch 2.2, sections "Conformance" (smart-configuration), "Backend Services" and "Client
Authentication: Asymmetric".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urljoin
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from pydantic import BaseModel, Field

from ehr_clients.errors import ContractError
from ehr_clients.http import Answer, ask, check, parse

SYSTEM = "EHR"
_JSON = {"Accept": "application/json"}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 240
"""Life of an assertion; the specification allows five minutes, clocks differ."""


class SmartConfiguration(BaseModel):
    """What `{base}/.well-known/smart-configuration` says, as far as we use it."""

    token_endpoint: str = Field(min_length=1, max_length=2048)
    authorization_endpoint: str | None = Field(default=None, max_length=2048)
    issuer: str | None = Field(default=None, max_length=2048)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key with which the connector proves who it is; the EHR knows its public half from our JWKS."""

    key: ECKey | RSAKey = field(repr=False)
    algorithm: str
    """ES384 or RS384: those two every SMART server must accept."""
    key_id: str


class Grant(BaseModel):
    """A granted access token."""

    access_token: str = Field(min_length=1, repr=False)
    token_type: Annotated[str, Field(pattern="^(?i:bearer)$")]
    scope: str = ""
    expires_in: int | None = None

    def missing(self, scopes: Sequence[str]) -> list[str]:
        """Return those of `scopes` that were not granted, sorted; a server may grant fewer than were asked for."""
        return sorted(set(scopes) - set(self.scope.split()))


class _OAuthError(BaseModel):
    error: str = Field(default="", max_length=128)


async def discover(http: httpx.AsyncClient, base_url: str) -> SmartConfiguration:
    """Return the SMART configuration of a FHIR base URL; relative addresses in it are resolved against the base.

    Raises:
        RemoteError: The server gave no usable answer.
    """
    base = base_url.rstrip("/") + "/"
    address = base + ".well-known/smart-configuration"
    answer = await ask(http, "GET", address, system=SYSTEM, operation="read SMART configuration", headers=_JSON)
    found = parse(check(answer), SmartConfiguration)
    try:
        endpoint = urljoin(base, found.token_endpoint)
    except ValueError:
        endpoint = ""
    if not endpoint.startswith("https://"):
        raise ContractError(SYSTEM, "read SMART configuration", "token_endpoint is not an https address")
    return found.model_copy(update={"token_endpoint": endpoint})


async def system_token(
    http: httpx.AsyncClient, token_endpoint: str, client_id: str, key: SigningKey, scopes: Sequence[str]
) -> Grant:
    """Return an access token of the client itself (grant type client_credentials).

    Raises:
        RefusedError: `code` is the OAuth error (RFC 6749 section 5.2), for example invalid_client.
        RemoteError: The server gave no usable answer.
    """
    form = {
        "grant_type": "client_credentials",
        "scope": " ".join(scopes),
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": _assertion(token_endpoint, client_id, key),
    }
    answer = await ask(http, "POST", token_endpoint, system=SYSTEM, operation="get token", headers=_JSON, form=form)
    return parse(check(answer, code=_oauth_error(answer)), Grant)


def _assertion(token_endpoint: str, client_id: str, key: SigningKey) -> str:
    header = {"alg": key.algorithm, "kid": key.key_id, "typ": "JWT"}
    now = int(time.time())
    claims: Mapping[str, str | int] = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_endpoint,
        "exp": now + _ASSERTION_S,
        "iat": now,
        "jti": str(uuid4()),
    }
    return jwt.encode(header, dict(claims), key.key, algorithms=[key.algorithm])


def _oauth_error(answer: Answer) -> str:
    try:
        return parse(answer, _OAuthError).error
    except ContractError:
        return ""
