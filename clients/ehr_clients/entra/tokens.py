"""Tokens of the application itself, kept until shortly before they end."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msal  # pyright: ignore[reportMissingTypeStubs]  (it has none)

from ehr_clients.entra.applications import Applications, check
from ehr_clients.entra.transport import SYSTEM
from ehr_clients.errors import ContractError

_GET_TOKEN = "get application token"  # noqa: S105 (an operation's name, no secret)
_EARLY_S = 300.0
"""A token is not used in its last minutes: a request that begins with it must also end with it."""


@dataclass(frozen=True, slots=True)
class AppToken:
    """An access token of the application."""

    value: str = field(repr=False)
    roles: frozenset[str] | None
    """The application permissions in it; None when the token cannot be read."""
    good_until_s: float
    """On the monotonic clock."""


class AppTokens:
    """The tokens of all organisations' applications, for one scope."""

    def __init__(self, applications: Applications, scope: str) -> None:
        self._entra = applications
        self._scope = scope
        self._applications: dict[tuple[str, str, str], Any] = {}
        self._tokens: dict[tuple[str, str], AppToken] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def token(self, tenant: str, client: str, *, fresh: bool = False) -> AppToken:
        """Return a token for the application; with `fresh`, one that knows of the newest consents.

        Raises:
            CredentialError: The credential cannot be read.
            RefusedError: Entra refused; `code` is its own, for example AADSTS7000215.
            RemoteError: Entra gave no usable answer.
        """
        key = (tenant, client)
        known = self._tokens.get(key)
        if known is not None and not fresh and time.monotonic() < known.good_until_s:
            return known
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._tokens.get(key)
            if known is not None and not fresh and time.monotonic() < known.good_until_s:
                return known
            found = await self._entra.in_thread(_GET_TOKEN, lambda: self._ask(tenant, client, fresh=fresh))
            self._tokens[key] = found
            return found

    def _ask(self, tenant: str, client: str, *, fresh: bool) -> AppToken:
        content, value = self._entra.credential.read()
        key = (tenant, client, content)
        application = None if fresh else self._applications.get(key)
        if application is None:
            # One application for each content: what msal holds for a secret that was replaced goes with it.
            for stale in [one for one in self._applications if one[:2] == key[:2]]:
                del self._applications[stale]
            application = self._entra.of(tenant, client, value, msal.TokenCache())
            self._applications[key] = application
        asked_s = time.monotonic()
        answer: dict[str, Any] = application.acquire_token_for_client(scopes=[self._scope])
        check(answer, _GET_TOKEN)
        token, expires_in_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(expires_in_s, int | float):
            raise ContractError(SYSTEM, _GET_TOKEN, "unexpected body at: access_token, expires_in")
        return AppToken(token, _roles(token), asked_s + expires_in_s - _EARLY_S)


def _roles(token: str) -> frozenset[str] | None:
    """Read the application permissions in a token. It is for Graph to check it; we only look at what was granted."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        roles: Sequence[Any] = claims.get("roles", [])
        return frozenset(str(role) for role in roles)
    except (ValueError, IndexError, AttributeError, TypeError):
        return None
