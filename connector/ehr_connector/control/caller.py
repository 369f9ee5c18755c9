"""Who calls the control API: a service-account token, checked against the cluster's issuer.

Source: Kubernetes, "Configure Service Accounts", projected tokens and issuer discovery; RFC 7519 for the claims.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, Field

from ehr_clients.errors import RemoteError
from ehr_clients.http import Http, ask, check, parse

_Body = TypeVar("_Body", bound=BaseModel)
_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
_BAD_TOKEN = (JoseError, ValueError, KeyError, TypeError)
"""joserfc lets a header of another shape raise any of them."""
_LEEWAY_S = 60
_REFRESH_S = 10.0
"""The issuer is asked for its keys at the most this often, however many unknown keys callers show."""
_FAILED_S = 2.0
"""After a failure the issuer is left alone for this time, so that callers cannot make us storm it."""
_KEEP_S = 3600.0
"""Keys are read again after this time, so that one that the issuer has withdrawn does not count for ever."""


class UnauthenticatedError(Exception):
    """There is no valid token; the message says what is wrong with it."""


class WrongCallerError(Exception):
    """The token is valid, and of somebody else."""


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be had, so no token can be checked."""


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: str = Field(pattern="^https://")


class _Jwks(BaseModel):
    keys: list[dict[str, Any]]


class Caller:
    """Checks that a bearer token is the operator's."""

    def __init__(
        self,
        http: Http,
        *,
        issuer: str,
        jwks_url: str | None = None,
        audience: str,
        subject: str,
        monotonic: Callable[[], float],
    ) -> None:
        self._http = http
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._subject = subject
        self._monotonic = monotonic
        self._keys: KeySet | None = None
        self._read_at = float("-inf")
        self._failure: tuple[float, str] | None = None
        self._reading = asyncio.Lock()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
        )

    async def check(self, authorization: str | None) -> None:
        """Return when the header `Authorization` holds the operator's token.

        Raises:
            UnauthenticatedError: No token, or not a valid one.
            WrongCallerError: Another subject's token.
            IssuerUnavailableError: The issuer gave no keys.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("show a service-account token: Authorization: Bearer ...")
        claims = await self._verified(token.strip())
        try:
            self._claims.validate(claims)
        except JoseError as exc:
            raise UnauthenticatedError(
                f"the token is not for us or not any more: {exc.description or exc.error}"
            ) from exc
        if claims.get("sub") != self._subject:
            raise WrongCallerError(f"only {self._subject} may call the control API")

    async def _verified(self, token: str) -> dict[str, Any]:
        """Return the claims of a token whose signature is the issuer's; its keys are read again for an unknown one."""
        keys = self._keys
        if keys is None or self._monotonic() - self._read_at > _KEEP_S:
            keys = await self._read_keys()
        try:
            return jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
        except _BAD_TOKEN:
            if self._monotonic() - self._read_at < _REFRESH_S:
                raise UnauthenticatedError("the token's signature is not the issuer's") from None
        try:
            return jwt.decode(token, await self._read_keys(), algorithms=_ALGORITHMS).claims
        except _BAD_TOKEN:
            raise UnauthenticatedError("the token's signature is not the issuer's") from None

    async def _read_keys(self) -> KeySet:
        async with self._reading:
            now = self._monotonic()
            if self._keys is not None and now - self._read_at < _REFRESH_S:
                return self._keys
            if self._failure is not None and now - self._failure[0] < _FAILED_S:
                raise IssuerUnavailableError(self._failure[1])
            try:
                url = self._jwks_url or await self._discovered()
                self._keys = KeySet.import_key_set({"keys": (await self._get(url, _Jwks)).keys})  # pyright: ignore[reportArgumentType]  (JSON)
            except (
                RemoteError,
                ValueError,
                KeyError,
                TypeError,
                JoseError,
            ) as exc:  # joserfc lets a bad JWK raise any of them
                self._failure = (self._monotonic(), f"the keys of {self._issuer} cannot be read: {exc}")
                raise IssuerUnavailableError(self._failure[1]) from exc
            self._read_at = self._monotonic()
            return self._keys

    async def _discovered(self) -> str:
        """Return where the issuer says that its keys are."""
        found = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", _Discovery)
        if found.issuer != self._issuer:
            raise ValueError("it says that its name is another one")
        return found.jwks_uri

    async def _get(self, url: str, model: type[_Body]) -> _Body:
        answer = await ask(self._http, "GET", url, system="token issuer", operation="read keys")
        return parse(check(answer), model)
