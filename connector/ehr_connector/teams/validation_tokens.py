"""Checks that a notification comes from Microsoft Graph: by the tokens that Entra ID gave it for us.

Source: Microsoft Graph, "Set up change notifications that include resource data", section "Validating the authenticity
of notifications".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, Field

from ehr_api.control import OrganizationConfiguration
from ehr_clients.errors import RemoteError
from ehr_clients.http import Http, ask, check, parse

GRAPH_NOTIFIER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
"""Application id under which Graph sends notifications."""
_SYSTEM = "Entra ID"
_LEEWAY_S = 300
_KEEP_S = 24 * 3600.0
_REFRESH_S = 30.0
"""Keys are asked for at most this often, whatever key ids tokens name."""


class KeysUnavailableError(Exception):
    """Entra's keys cannot be had now, so nothing can be said about a token."""


class _Discovery(BaseModel):
    jwks_uri: str = Field(pattern="^https://")


class _Jwks(BaseModel):
    keys: list[dict[str, Any]]


@dataclass
class _TenantKeys:
    keys: KeySet | None = None
    read_s: float = float("-inf")


class ValidationTokens:
    """Checks tokens; Entra's keys are kept for a day, and read anew for one that is not among them."""

    def __init__(self, http: Http, authority: str, issuer: str, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._authority = authority.rstrip("/")
        self._issuer = issuer
        self._monotonic = monotonic
        self._tenants: dict[str, _TenantKeys] = {}
        self._reading = asyncio.Lock()

    async def has_valid(self, tokens: Sequence[str], organization: OrganizationConfiguration) -> bool:
        """Return whether one of the tokens was given to Graph for the organisation's application.

        A delivery may mix notifications of several applications, and has a token for each.

        Raises:
            KeysUnavailableError: Nobody can say now.
        """
        for token in tokens:
            if await self._is_valid(token, organization):
                return True
        return False

    async def _is_valid(self, token: str, organization: OrganizationConfiguration) -> bool:
        tenant, client = organization.microsoft365.tenant_id, organization.microsoft365.client_id
        claims = await self._claims(token, tenant)
        if claims is None:
            return False
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            aud={"essential": True, "value": client},
            iss={"essential": True, "value": self._issuer.replace("{tenant}", tenant)},
            exp={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError:
            return False
        return GRAPH_NOTIFIER in {claims.get("appid"), claims.get("azp")}

    async def _claims(self, token: str, tenant: str) -> dict[str, Any] | None:
        """Return the claims of a token that Entra signed."""
        keys = await self._keys(tenant, older_than_s=_KEEP_S)
        try:
            return jwt.decode(token, keys, algorithms=["RS256"]).claims
        except (JoseError, ValueError, KeyError, TypeError):
            pass
        fresh = await self._keys(tenant, older_than_s=_REFRESH_S)
        if fresh is keys:
            return None
        try:
            return jwt.decode(token, fresh, algorithms=["RS256"]).claims
        except (JoseError, ValueError, KeyError, TypeError):
            return None

    async def _keys(self, tenant: str, *, older_than_s: float) -> KeySet:
        known = self._tenants.setdefault(tenant, _TenantKeys())
        if known.keys is not None and self._monotonic() - known.read_s < older_than_s:
            return known.keys
        async with self._reading:
            if known.keys is not None and self._monotonic() - known.read_s < older_than_s:
                return known.keys
            try:
                address = f"{self._authority}/{tenant}/v2.0/.well-known/openid-configuration"
                found = await ask(self._http, "GET", address, system=_SYSTEM, operation="discover keys")
                uri = parse(check(found), _Discovery).jwks_uri
                answer = await ask(self._http, "GET", uri, system=_SYSTEM, operation="read keys")
                keys = KeySet.import_key_set({"keys": parse(check(answer), _Jwks).keys})  # pyright: ignore[reportArgumentType]  (JSON)
            except (RemoteError, JoseError, ValueError, KeyError, TypeError) as exc:  # joserfc lets a bad JWK raise any
                if known.keys is not None:
                    return known.keys
                raise KeysUnavailableError from exc
            known.keys, known.read_s = keys, self._monotonic()
            return keys
