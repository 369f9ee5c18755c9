"""The token endpoint: client credentials, authorization code with PKCE, refresh token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.graph.addresses import address_of, issuer, issuer_v1
from ehr_sandbox.graph.entra.client_authentication import ClientAuthentication
from ehr_sandbox.graph.entra.grants import Grants, SignIn
from ehr_sandbox.graph.errors import EntraError
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.world import App, Tenant, User

GRAPH_RESOURCES = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
"""Graph under its public address and under its application id."""

OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_DEFAULT = "/.default"


class TokenEndpoint:
    """Answers `POST /{tenant}/oauth2/v2.0/token`."""

    def __init__(self, platform: Platform, grants: Grants) -> None:
        self._platform = platform
        self._grants = grants
        self._clients = ClientAuthentication(platform)

    def routes(self) -> list[Route]:
        """Return the route of the endpoint."""
        return [Route("/{tenant}/oauth2/v2.0/token", self._answer, methods=["POST"])]

    async def _answer(self, request: Request) -> Response:
        tenant = tenant_of(self._platform, request)
        address = address_of(request, self._platform.settings)
        form = {name: str(value) for name, value in (await request.form()).items()}
        authority = f"{address}/{request.path_params['tenant']}"
        audiences = {f"{authority}/oauth2/v2.0/token", f"{authority}/v2.0", authority}
        app = await self._clients.client_of(tenant, form, audiences)
        match form.get("grant_type"):
            case "client_credentials":
                answer = self._for_application(tenant, app, form, address)
            case "authorization_code":
                answer = self._for_user(tenant, app, self._redeemed(app, form), form, address)
            case "refresh_token":
                answer = self._for_user(tenant, app, self._refreshed(app, form), form, address)
            case None | "":
                raise EntraError(
                    "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'."
                )
            case other:
                raise EntraError(
                    "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{other}'."
                )
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _for_application(self, tenant: Tenant, app: App, form: Mapping[str, str], address: str) -> dict[str, Any]:
        scope = form.get("scope", "")
        if not scope.endswith(_DEFAULT) or " " in scope:
            raise EntraError(
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value"
                " with /.default suffixed to the resource identifier (application ID URI).",
            )
        resource = scope.removesuffix(_DEFAULT).rstrip("/")
        is_graph = resource in {*GRAPH_RESOURCES, address}
        if not is_graph and resource not in self._platform.settings.resources:
            raise EntraError(
                "invalid_resource",
                500011,
                f"The resource principal named {resource} was not found in the tenant named {tenant.domain}.",
            )
        principal = str(uuid5(NAMESPACE_URL, f"{tenant.id}/{app.client_id}"))
        claims: dict[str, Any] = {
            "idtyp": "app",
            "oid": principal,
            "sub": principal,
        }
        if is_graph and app.app_roles:
            claims["roles"] = sorted(app.app_roles)
        token = self._access_token(tenant, app, resource, claims, address)
        life_s = self._platform.behaviour.token_life_s
        return {"token_type": "Bearer", "expires_in": life_s, "ext_expires_in": life_s, "access_token": token}

    def _redeemed(self, app: App, form: Mapping[str, str]) -> SignIn:
        """Return the sign-in behind a code."""
        code = form.get("code", "")
        sign_in = self._grants.codes.get(code)
        if sign_in is None or sign_in.client_id != app.client_id:
            raise EntraError("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        if code in self._grants.redeemed:
            raise EntraError("invalid_grant", 54005, "OAuth2 Authorization code was already redeemed.")
        if self._platform.now() > sign_in.issued + timedelta(seconds=self._platform.behaviour.code_life_s):
            raise EntraError("invalid_grant", 70008, "The provided authorization code or refresh token has expired.")
        if form.get("redirect_uri") != sign_in.redirect_uri:
            raise EntraError(
                "invalid_client",
                500112,
                "The reply address does not match the reply address of the authorization request.",
            )
        _check_verifier(sign_in, form.get("code_verifier"))
        self._grants.redeemed.add(code)
        return sign_in

    def _refreshed(self, app: App, form: Mapping[str, str]) -> SignIn:
        sign_in = self._grants.refresh_tokens.get(form.get("refresh_token", ""))
        if sign_in is None or sign_in.client_id != app.client_id:
            raise EntraError("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        return sign_in

    def _for_user(
        self, tenant: Tenant, app: App, sign_in: SignIn, form: Mapping[str, str], address: str
    ) -> dict[str, Any]:
        user = tenant.user(sign_in.user)
        if user is None or sign_in.tenant != tenant.id:
            raise EntraError("invalid_grant", 50034, "The user account does not exist in the directory.")
        if not user.account_enabled:
            raise EntraError("invalid_grant", 50057, "The user account is disabled.")
        resource, granted = delegated_scopes(sign_in.scopes, address)
        claims = {
            "oid": user.id,
            "sub": _subject(app, user),
            "scp": " ".join(granted),
            "name": user.display_name,
            "upn": user.user_principal_name,
        }
        life_s = self._platform.behaviour.token_life_s
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(granted),
            "expires_in": life_s,
            "ext_expires_in": life_s,
            "access_token": self._access_token(tenant, app, resource, claims, address),
        }
        if "openid" in sign_in.scopes:
            answer["id_token"] = self._id_token(tenant, app, user, sign_in, address)
        if "offline_access" in sign_in.scopes:
            answer["refresh_token"] = self._grants.new_refresh_token(sign_in)
        if form.get("client_info"):
            info = json.dumps({"uid": user.id, "utid": tenant.id}).encode()
            answer["client_info"] = base64.urlsafe_b64encode(info).rstrip(b"=").decode()
        return answer

    def _access_token(self, tenant: Tenant, app: App, resource: str, claims: Mapping[str, Any], address: str) -> str:
        return self._platform.signer.sign(
            {
                "aud": resource,
                "iss": issuer_v1(self._platform.settings, address, tenant.id),
                **self._times(),
                "appid": app.client_id,
                "app_displayname": app.display_name,
                "tid": tenant.id,
                "uti": uuid4().hex[:22],
                "ver": "1.0",
                **claims,
            }
        )

    def _id_token(self, tenant: Tenant, app: App, user: User, sign_in: SignIn, address: str) -> str:
        claims: dict[str, Any] = {
            "aud": app.client_id,
            "iss": issuer(self._platform.settings, address, tenant.id),
            **self._times(),
            "name": user.display_name,
            "oid": user.id,
            "preferred_username": user.user_principal_name,
            "sub": _subject(app, user),
            "tid": tenant.id,
            "uti": uuid4().hex[:22],
            "ver": "2.0",
        }
        if roles := app.assigned_roles.get(user.id):
            claims["roles"] = roles
        if sign_in.nonce is not None:
            claims["nonce"] = sign_in.nonce
        return self._platform.signer.sign(claims)

    def _times(self) -> dict[str, int]:
        now_s = int(self._platform.now().timestamp())
        return {"iat": now_s, "nbf": now_s, "exp": now_s + self._platform.behaviour.token_life_s}


def tenant_of(platform: Platform, request: Request) -> Tenant:
    """Return the tenant that a request's path names; raises EntraError when there is none."""
    name = request.path_params["tenant"]
    tenant = platform.tenant(name)
    if tenant is None and name in {"common", "organizations"} and len(platform.world.tenants) == 1:
        return platform.world.tenants[0]
    if tenant is None:
        raise EntraError(
            "invalid_request",
            90002,
            f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the"
            " correct cloud.",
        )
    return tenant


def delegated_scopes(scopes: tuple[str, ...], address: str) -> tuple[str, list[str]]:
    """Return the resource that scopes are of, Graph where none is named, and the scopes as the token names them."""
    resource, granted = GRAPH_RESOURCES[0], ["openid", "profile", "email"]
    for scope in scopes:
        host, slash, name = scope.rpartition("/")
        if slash:
            resource = host
        if scope not in OIDC_SCOPES and name not in granted:
            granted.append("User.Read" if name == ".default" else name)
    known = {*GRAPH_RESOURCES, address}
    if resource not in known:
        raise EntraError("invalid_resource", 500011, f"The resource principal named {resource} was not found.")
    return resource, granted


def _check_verifier(sign_in: SignIn, verifier: str | None) -> None:
    if sign_in.code_challenge is None:
        return
    digest = hashlib.sha256((verifier or "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(challenge, sign_in.code_challenge):
        raise EntraError(
            "invalid_grant",
            501481,
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        )


def _subject(app: App, user: User) -> str:
    """Return the user's name at one application: Entra's `sub` differs from application to application."""
    digest = hashlib.sha256(f"{app.client_id}/{user.id}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
