"""SMART on FHIR: discovery, and system access by SMART Backend Services with an asymmetric key.

Source: SMART App Launch 2.2, sections "Conformance" (smart-configuration), "Backend Services" and "Client
Authentication: Asymmetric".
"""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated
from urllib.parse import urlencode, urljoin, urlsplit
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

_SCOPE = re.compile(
    r"(?P<context>patient|user|system)/(?P<resource>\*|[A-Za-z]+)\.(?P<rights>read|write|\*|c?r?u?d?s?)", re.ASCII
)
_RIGHTS = {"read": "rs", "write": "cud", "*": "cruds"}


class SmartConfiguration(BaseModel):
    """What `{base}/.well-known/smart-configuration` says, as far as we use it."""

    token_endpoint: str = Field(min_length=1, max_length=2048)
    authorization_endpoint: str | None = Field(default=None, max_length=2048)
    issuer: str | None = Field(default=None, max_length=2048)
    code_challenge_methods_supported: list[str] | None = Field(default=None, max_length=100)

    @property
    def has_pkce(self) -> bool:
        """Whether the server checks that who redeems a code asked for it, by SHA-256.

        Source: SMART App Launch 2.2, "Conformance": the list is required, and holds S256; RFC 8414: without it there is none.
        """
        return "S256" in (self.code_challenge_methods_supported or ())


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
        """Return those of `scopes` that were not granted, sorted; a server may grant fewer than were asked for.

        It may also answer in the other notation: `.read` of SMART 1 is `.rs` of SMART 2, and `.write` is `.cud`.
        """
        granted = self.scope.split()
        return sorted(scope for scope in set(scopes) if not any(_covers(given, scope) for given in granted))


class LaunchGrant(Grant):
    """What a launch grants: the token, and the context in which the clinician launched.

    Source: SMART App Launch 2.2, section "Launch context arrives with your access_token".
    """

    id_token: str | None = Field(default=None, repr=False)
    patient: str | None = Field(default=None, max_length=64, repr=False)
    encounter: str | None = Field(default=None, max_length=64, repr=False)
    need_patient_banner: bool = True


def _covers(given: str, needed: str) -> bool:
    """Return whether a granted scope allows what a needed one asks for.

    Source: SMART App Launch 2.2, "Scopes for requesting FHIR Resources".
    """
    if given == needed:
        return True
    one, other = _SCOPE.fullmatch(given), _SCOPE.fullmatch(needed)
    if one is None or other is None or one["context"] != other["context"]:
        return False
    return one["resource"] in {"*", other["resource"]} and set(_letters(other["rights"])) <= set(
        _letters(one["rights"])
    )


def _letters(rights: str) -> str:
    return _RIGHTS.get(rights, rights)


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
    resolved = {"token_endpoint": _resolved(base, "token_endpoint", found.token_endpoint)}
    if found.authorization_endpoint is not None:
        resolved["authorization_endpoint"] = _resolved(base, "authorization_endpoint", found.authorization_endpoint)
    return found.model_copy(update=resolved)


def _resolved(base: str, name: str, address: str) -> str:
    try:
        endpoint = urljoin(base, address)
    except ValueError:
        endpoint = ""
    if not endpoint.startswith("https://"):
        raise ContractError(SYSTEM, "read SMART configuration", f"{name} is not an https address")
    return endpoint


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


def authorize_address(
    configuration: SmartConfiguration,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Sequence[str],
    base_url: str,
    launch: str,
    state: str,
    nonce: str,
    code_verifier: str,
) -> str:
    """Return where the browser goes to ask the EHR for an authorization code (EHR launch, PKCE S256).

    Raises:
        ContractError: The server offers no authorization endpoint.
    """
    if configuration.authorization_endpoint is None:
        raise ContractError(SYSTEM, "read SMART configuration", "it has no authorization_endpoint")
    challenge = urlsafe_b64encode(sha256(code_verifier.encode("ascii")).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes),
        "aud": base_url,
        "launch": launch,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(configuration.authorization_endpoint).query else "?"
    return f"{configuration.authorization_endpoint}{joint}{urlencode(query)}"


async def redeem_code(
    http: httpx.AsyncClient,
    token_endpoint: str,
    *,
    client_id: str,
    redirect_uri: str,
    code: str,
    code_verifier: str,
    key: SigningKey,
) -> LaunchGrant:
    """Return what an authorization code grants (confidential client with an asymmetric key).

    Raises:
        RefusedError: `code` is the OAuth error, for example invalid_grant.
        RemoteError: The server gave no usable answer.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": code_verifier,
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": _assertion(token_endpoint, client_id, key),
    }
    answer = await ask(http, "POST", token_endpoint, system=SYSTEM, operation="redeem code", headers=_JSON, form=form)
    return parse(check(answer, code=_oauth_error(answer)), LaunchGrant)


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
