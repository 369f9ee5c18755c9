"""The authorization endpoint of the provider persona: the clinician is signed in already, so it redirects at once.

A request whose client or redirect URI is not registered ends on a page; any other refusal goes to the redirect URI as `error`,
`error_uri` and `state`. Source: SMART App Launch 2.2, "Obtain authorization code"; RFC 6749, section 4.1.2.1; RFC 7636.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.addresses import Addresses
from ehr_sandbox.cerner.apps import App, Apps
from ehr_sandbox.cerner.errors import TenantError
from ehr_sandbox.cerner.launches import Launches
from ehr_sandbox.cerner.oauth_errors import REASONS, OAuthError, error_page, error_uri
from ehr_sandbox.cerner.scopes import CLINICIAN_SCOPES
from ehr_sandbox.cerner.settings import CernerSettings

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256 in base64url without padding."""


class AuthorizationEndpoint:
    """Gives out codes."""

    def __init__(self, settings: CernerSettings, apps: Apps, launches: Launches) -> None:
        self._settings = settings
        self._apps = apps
        self._launches = launches

    def routes(self) -> list[Route]:
        """Return the route of the endpoint."""
        path = "/tenants/{tenant}/protocols/oauth2/profiles/smart-v1/personas/provider/authorize"
        return [Route(path, self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        addresses = Addresses.of(request)
        if not self._settings.has_tenant(addresses.tenant):
            raise TenantError
        items = request.query_params.multi_items()
        if request.method == "POST":
            items = parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True)
        given = dict(items)
        app = self._apps.get(given.get("client_id", ""))
        if app is None:
            return error_page("app-unknown", 400)
        if given.get("redirect_uri") not in app.redirect_uris:
            return error_page("redirect-unknown", 400)
        try:
            _check(addresses, given, repeated=len(given) != len(items))
            answer = {"code": self._code(addresses, app, given)}
        except OAuthError as exc:
            answer = {"error": REASONS[exc.reason][0], "error_uri": error_uri(request, exc.reason)}
        if "state" in given:
            answer["state"] = given["state"]
        joint = "&" if urlsplit(given["redirect_uri"]).query else "?"
        return RedirectResponse(
            f"{given['redirect_uri']}{joint}{urlencode(answer)}", status_code=302, headers={"Cache-Control": "no-store"}
        )

    def _code(self, addresses: Addresses, app: App, given: dict[str, str]) -> str:
        asked = frozenset(given.get("scope", "").split())
        if not asked:
            raise OAuthError("scope-missing")
        if "launch" not in asked:
            raise OAuthError("launch-scope")
        if not given.get("launch"):
            raise OAuthError("launch-missing")
        launch = self._launches.get(addresses.tenant, given["launch"])
        if launch is None:
            raise OAuthError("launch-unknown")
        if launch.opened.deny:
            raise OAuthError("denied")
        return self._launches.give_code(app.id, given, asked & CLINICIAN_SCOPES, launch)


def _check(addresses: Addresses, given: dict[str, str], *, repeated: bool) -> None:
    """Refuse what no launch could make good."""
    if repeated:
        raise OAuthError("parameter-twice")
    if given.get("response_type") != "code":
        raise OAuthError("response-type")
    if not given.get("state"):
        raise OAuthError("state-missing")
    if given.get("aud") != addresses.base:
        raise OAuthError("aud-wrong" if given.get("aud") else "aud-missing")
    if given.get("code_challenge_method") != "S256":
        raise OAuthError("challenge-method")
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise OAuthError("challenge")
