"""The sign-in page: `GET /{tenant}/oauth2/v2.0/authorize`.

Source: Microsoft identity platform, "OAuth 2.0 authorization code flow". It must not be shown in a frame, as Microsoft's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ehr_sandbox.graph.entra.grants import Grants, SignIn
from ehr_sandbox.graph.entra.tokens import delegated_scopes, tenant_of
from ehr_sandbox.graph.errors import EntraError
from ehr_sandbox.graph.pages import page
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.world import App, Tenant, User

SESSION_COOKIE = "ehr_sandbox_entra_session"
"""Remembers in the browser who signed in; the Teams page looks at it too."""

_NO_FRAME = {"X-Frame-Options": "DENY"}


class SignInPage:
    """Lets a person choose who signs in, and sends the browser back with a code."""

    def __init__(self, platform: Platform, grants: Grants) -> None:
        self._platform = platform
        self._grants = grants

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        path = "/{tenant}/oauth2/v2.0/authorize"
        return [Route(path, self._show, methods=["GET"]), Route(path, self._choose, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        try:
            tenant, app = self._checked(request)
        except EntraError as exc:
            return _error_page(exc)
        query = request.query_params
        try:
            self._check_scope(request)
            signed_in = self._signed_in(request, tenant)
            prompt = query.get("prompt", "")
            if signed_in is not None and prompt in {"", "none"} and _matches(query.get("login_hint"), signed_in):
                return self._answer(request, {"code": self._code(request, tenant, app, signed_in)})
        except EntraError as exc:
            return self._refusal(request, exc)
        if prompt == "none":
            silent = EntraError("login_required", 50058, "A silent sign-in request was sent but no user is signed in.")
            return self._refusal(request, silent)
        hint = query.get("login_hint")
        users = sorted(tenant.users, key=lambda user: not (hint and _matches(hint, user)))
        return page(
            "sign_in.html",
            headers=_NO_FRAME,
            app=app,
            users=users,
            hinted=bool(hint and users and _matches(hint, users[0])),
            action=f"{request.url.path}?{request.url.query}",
        )

    async def _choose(self, request: Request) -> Response:
        try:
            tenant, app = self._checked(request)
        except EntraError as exc:
            return _error_page(exc)
        form = await request.form()
        user = tenant.user(str(form.get("user", "")))
        if user is None:
            declined = EntraError("access_denied", 65004, "User declined to consent to access the app.")
            return self._refusal(request, declined)
        if not user.account_enabled:
            return _error_page(EntraError("access_denied", 50057, "The user account is disabled."))
        try:
            self._check_scope(request)
        except EntraError as exc:
            return self._refusal(request, exc)
        answer = self._answer(request, {"code": self._code(request, tenant, app, user)})
        answer.set_cookie(
            SESSION_COOKIE,
            self._grants.new_session(tenant.id, user.id),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _checked(self, request: Request) -> tuple[Tenant, App]:
        """Return who asks; what is wrong up to here is shown on a page, for the way back cannot be trusted."""
        tenant = tenant_of(self._platform, request)
        query = request.query_params
        client_id = query.get("client_id", "")
        app = tenant.app(client_id)
        if app is None:
            raise EntraError(
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{tenant.domain}'.",
            )
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in app.redirect_uris:
            raise EntraError(
                "invalid_request",
                50011,
                f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs"
                f" configured for the application '{app.client_id}'.",
            )
        return tenant, app

    def _check_scope(self, request: Request) -> None:
        query = request.query_params
        if query.get("response_type") != "code":
            raise EntraError("unsupported_response_type", 700054, "response_type must be 'code'.")
        if not query.get("scope"):
            raise EntraError("invalid_request", 900144, "The request must contain the following parameter: 'scope'.")
        if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
            raise EntraError("invalid_request", 501491, "code_challenge_method must be 'S256'.")
        if query.get("response_mode", "query") not in {"query", "fragment", "form_post"}:
            raise EntraError("invalid_request", 70007, "The response_mode is not supported.")
        delegated_scopes(tuple(query["scope"].split()), f"{request.url.scheme}://{request.headers.get('host', '')}")

    def _signed_in(self, request: Request, tenant: Tenant) -> User | None:
        session = self._grants.sessions.get(request.cookies.get(SESSION_COOKIE, ""))
        if session is None or session[0] != tenant.id:
            return None
        user = tenant.user(session[1])
        return user if user is not None and user.account_enabled else None

    def _code(self, request: Request, tenant: Tenant, app: App, user: User) -> str:
        query = request.query_params
        return self._grants.new_code(
            SignIn(
                tenant=tenant.id,
                client_id=app.client_id,
                user=user.id,
                scopes=tuple(query.get("scope", "").split()),
                nonce=query.get("nonce"),
                redirect_uri=query["redirect_uri"],
                code_challenge=query.get("code_challenge"),
                code_challenge_method=query.get("code_challenge_method"),
                issued=self._platform.now(),
            )
        )

    def _refusal(self, request: Request, refused: EntraError) -> Response:
        time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        description = refused.description(str(uuid4()), str(uuid4()), time)
        return self._answer(request, {"error": refused.error, "error_description": description})

    def _answer(self, request: Request, fields: Mapping[str, str]) -> Response:
        """Send the browser back with these fields."""
        query = request.query_params
        fields = {**fields, "session_state": str(uuid4())}
        if "state" in query:
            fields["state"] = query["state"]
        redirect_uri = query["redirect_uri"]
        if query.get("response_mode") == "form_post":
            return page("form_post.html", headers=_NO_FRAME, action=redirect_uri, fields=fields)
        parts = urlsplit(redirect_uri)
        if query.get("response_mode") == "fragment":
            target = urlunsplit(parts._replace(fragment=urlencode(fields)))
        else:
            joined = "&".join(part for part in (parts.query, urlencode(fields)) if part)
            target = urlunsplit(parts._replace(query=joined))
        return RedirectResponse(target, status_code=302, headers={**_NO_FRAME, "Cache-Control": "no-store"})


def _matches(hint: str | None, user: User) -> bool:
    return not hint or hint.lower() in {user.user_principal_name.lower(), user.id}


def _error_page(refused: EntraError) -> Response:
    time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    message = refused.description(str(uuid4()), str(uuid4()), time)
    return page("sign_in_error.html", status=400, headers=_NO_FRAME, message=message)
