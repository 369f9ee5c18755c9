"""Access tokens, of systems and of clinicians' apps: given out by the token endpoint, shown to the FHIR server."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.addresses import Addresses
from ehr_sandbox.cerner.apps import Apps
from ehr_sandbox.cerner.client_authentication import ClientAuthentication
from ehr_sandbox.cerner.client_keys import ClientKeys
from ehr_sandbox.cerner.code_grants import CodeGrants
from ehr_sandbox.cerner.errors import FhirError, TenantError
from ehr_sandbox.cerner.oauth_errors import OAuthError
from ehr_sandbox.cerner.scopes import SYSTEM_SCOPES
from ehr_sandbox.cerner.settings import CernerSettings


@dataclass(frozen=True, slots=True)
class Grant:
    """What the bearer of a token may do."""

    client: str
    tenant: str
    scopes: frozenset[str]
    expires: datetime


class Tokens:
    """The tokens that are good now."""

    def __init__(self, life_s: int, now: Callable[[], datetime]) -> None:
        self._life = timedelta(seconds=life_s)
        self._now = now
        self._grants: dict[str, Grant] = {}

    def issue(self, client: str, tenant: str, scopes: frozenset[str]) -> str:
        """Return a new token."""
        now = self._now()
        self._grants = {token: grant for token, grant in self._grants.items() if grant.expires > now}
        token = secrets.token_urlsafe(32)
        self._grants[token] = Grant(client, tenant, scopes, now + self._life)
        return token

    def grant_of(self, authorization: str | None, tenant: str) -> Grant:
        """Return what the caller may do.

        Raises:
            FhirError: There is no token, or it is not good (any more).
            TenantError: The token is for another tenant.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise FhirError(401, "login", "A bearer token is required", headers={"WWW-Authenticate": "Bearer"})
        grant = self._grants.get(token.strip())
        if grant is None or grant.expires <= self._now():
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise FhirError(401, "login", "The bearer token is not valid or has expired", headers=challenge)
        if grant.tenant != tenant:
            raise TenantError
        return grant


class TokenEndpoint:
    """Answers each `grant_type`: systems show who they are, apps a code or a refresh token too."""

    def __init__(self, settings: CernerSettings, tokens: Tokens, apps: Apps, grants: CodeGrants) -> None:
        keys = ClientKeys(apps.key_urls, settings.client_ca, settings.now)
        self._clients = ClientAuthentication(keys, apps.key_urls, settings.client_secrets, settings.now)
        self._apps = apps
        self._grants = grants
        self._settings = settings
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """Return the route of the endpoint."""
        path = "/tenants/{tenant}/hosts/{host}/protocols/oauth2/profiles/smart-v1/token"
        return [Route(path, self._answer, methods=["POST"])]

    async def _answer(self, request: Request) -> Response:
        addresses = Addresses.of(request)
        if not self._settings.has_tenant(addresses.tenant):
            raise TenantError
        form = await _form(request)
        authorization = request.headers.get("authorization")
        grant_type = form.get("grant_type")
        if grant_type in {"authorization_code", "refresh_token"}:
            client = await self._app_of(form, authorization, addresses.token)
            exchange = self._grants.exchange if grant_type == "authorization_code" else self._grants.refresh
            granted, context = exchange(addresses, client, form)
        else:
            client = await self._clients.client_of(form, authorization, addresses.token)
            if grant_type != "client_credentials":
                raise OAuthError("grant-type")
            granted, context = self._granted(client, form), {}
        answer: dict[str, Any] = {
            "access_token": self._tokens.issue(client, addresses.tenant, granted),
            "token_type": "Bearer",
            "expires_in": self._settings.token_life_s,
            "scope": " ".join(sorted(granted)),
            **context,
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    async def _app_of(self, form: Mapping[str, str], authorization: str | None, audience: str) -> str:
        """Return the app that asks: one without keys by its id, any other by a signed assertion."""
        if "client_assertion" in form or authorization is not None:
            client = await self._clients.client_of(form, authorization, audience)
            if self._apps.get(client) is None:
                raise OAuthError("app-unknown")
            return client
        app = self._apps.get(form.get("client_id", ""))
        if app is None:
            raise OAuthError("app-unknown")
        if app.jwks_url is not None:
            raise OAuthError("app-confidential")
        return app.id

    def _granted(self, client: str, form: Mapping[str, str]) -> frozenset[str]:
        """Return the scopes of the client's registration among those that it asks for: they may be fewer."""
        if client not in self._settings.client_jwks_urls and client not in self._settings.client_secrets:
            raise OAuthError("client-not-system")
        asked = frozenset(form.get("scope", "").split())
        if not asked:
            raise OAuthError("scope-missing")
        granted = asked & SYSTEM_SCOPES & self._settings.client_scopes.get(client, SYSTEM_SCOPES)
        if not granted:
            raise OAuthError("scope-refused")
        return granted


async def _form(request: Request) -> dict[str, str]:
    """Return the body's parameters, each of which may be given once."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise OAuthError("form")
    try:
        items = parse_qsl((await request.body()).decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError as exc:
        raise OAuthError("form") from exc
    if len(dict(items)) != len(items):
        raise OAuthError("form")
    return dict(items)
