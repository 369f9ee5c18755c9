"""The authorization server's refusals: `error`, and an `error_uri` under which a person reads the reason."""

from __future__ import annotations

import math
from datetime import timedelta
from html import escape
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

REASONS = {
    "grant-type": (
        "unsupported_grant_type",
        "Only authorization_code, refresh_token and client_credentials are served here.",
    ),
    "form": ("invalid_request", "The body must be a form, and no parameter may be repeated."),
    "assertion-type": ("invalid_request", "client_assertion_type is not that of a JWT."),
    "authentication-missing": ("invalid_client", "Neither a client assertion nor HTTP Basic was sent."),
    "authentication-twice": ("invalid_request", "Only one way to authenticate may be used."),
    "client-unknown": ("invalid_client", "No such client is registered in this way."),
    "secret-wrong": ("invalid_client", "The secret is not the client's."),
    "assertion-unreadable": ("invalid_client", "The assertion is no signed JWT."),
    "algorithm": ("invalid_client", "The assertion must be signed with RS384 or ES384."),
    "keys-unavailable": ("invalid_client", "The client's JWKS URL does not answer with keys."),
    "key-unknown": ("invalid_client", "The client's keys have none of the id that the assertion names."),
    "signature": ("invalid_client", "The signature is not of the client's key."),
    "issuer-subject": ("invalid_client", "iss and sub must both be the client's id."),
    "audience": ("invalid_client", "aud must be the address of this token endpoint."),
    "expiry-missing": ("invalid_client", "exp must be a number."),
    "expired": ("invalid_client", "The assertion has expired."),
    "expiry-too-far": ("invalid_client", "exp may be five minutes ahead at most."),
    "jti-missing": ("invalid_client", "jti is missing."),
    "jti-reused": ("invalid_client", "The assertion was used before."),
    "client-not-system": ("unauthorized_client", "The client is not registered for system access."),
    "app-unknown": ("invalid_client", "No such app is registered."),
    "app-confidential": ("invalid_client", "The app is registered with keys, so it must send a client assertion."),
    "redirect-unknown": ("invalid_request", "redirect_uri is not one of the app's, to the letter."),
    "parameter-twice": ("invalid_request", "No parameter may be repeated."),
    "response-type": ("unsupported_response_type", "response_type must be code."),
    "state-missing": ("invalid_request", "state is missing."),
    "aud-missing": ("invalid_request", "aud is missing: it must be the FHIR base URL."),
    "aud-wrong": ("invalid_request", "aud must be the FHIR base URL."),
    "challenge-method": ("invalid_request", "code_challenge_method must be S256."),
    "challenge": ("invalid_request", "code_challenge must be a SHA-256 in base64url."),
    "launch-scope": ("invalid_scope", "The scope launch is missing."),
    "launch-missing": ("invalid_request", "launch is missing: an app is started from the EHR."),
    "launch-unknown": ("invalid_request", "The launch is unknown here, or has expired."),
    "denied": ("access_denied", "The app may not be used."),
    "code": ("invalid_grant", "The code is unknown, another client's, used or expired."),
    "redirect-different": ("invalid_grant", "redirect_uri is not the one that the code was sent to."),
    "verifier": ("invalid_grant", "code_verifier does not fit the challenge."),
    "refresh-token": ("invalid_grant", "The refresh token is unknown, another client's, or its session has ended."),
    "refresh-too-soon": ("temporarily_unavailable", "A token may be refreshed once a minute."),
    "scope-missing": ("invalid_scope", "scope is missing."),
    "scope-refused": ("invalid_scope", "None of the scopes is one that the client may have."),
}
"""OAuth error and explanation of each reason."""

_HTML = """<!doctype html><html lang="en"><title>Authorization error</title><h1>{error}</h1><p>{text}</p></html>"""


class OAuthError(Exception):
    """A refusal of the authorization server."""

    def __init__(self, reason: str, *, challenge: bool = False, retry_after: timedelta | None = None) -> None:
        """`reason` is a key of REASONS; `challenge` is for a caller that used the `Authorization` header; `retry_after` is for 429."""
        super().__init__(REASONS[reason][1])
        self.reason = reason
        self.challenge = challenge
        self.retry_after = retry_after


async def answer_oauth_error(request: Request, exc: Exception) -> Response:
    """Answer as RFC 6749, section 5.2: 400, or 401 with a challenge for a caller that used the `Authorization` header."""
    if not isinstance(exc, OAuthError):
        raise exc
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if exc.challenge:
        headers["WWW-Authenticate"] = 'Basic realm="token"'
    status = 401 if exc.challenge else 400
    if exc.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(exc.retry_after.total_seconds()))
        status = 429
    body = {"error": REASONS[exc.reason][0], "error_uri": error_uri(request, exc.reason)}
    return JSONResponse(body, status_code=status, headers=headers)


def error_uri(request: Request, reason: str) -> str:
    """Return the address at which a person reads the reason."""
    origin = f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"
    tenant = urlencode({"tenant": request.path_params.get("tenant", "")})
    return f"{origin}/errors/urn:cerner:error:authorization-server:oauth2:{reason}/instances/{uuid4()}?{tenant}"


def error_page(reason: str, status: int = 200) -> Response:
    """Return the page that explains a reason."""
    error, text = REASONS[reason]
    return HTMLResponse(_HTML.format(error=escape(error), text=escape(text)), status_code=status)


async def _explain(request: Request) -> Response:
    reason = request.path_params["urn"].rpartition(":")[2]
    if reason not in REASONS:
        return HTMLResponse(_HTML.format(error="Unknown error", text="There is no such error."), status_code=404)
    return error_page(reason)


def error_routes() -> list[Route]:
    """Return the pages that `error_uri` leads to."""
    return [Route("/errors/{urn}/instances/{instance}", _explain, methods=["GET"])]
