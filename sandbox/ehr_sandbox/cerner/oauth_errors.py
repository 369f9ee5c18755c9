"""The authorization server's refusals: `error`, and an `error_uri` under which a person reads the reason."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

REASONS = {
    "grant-type": ("unsupported_grant_type", "Only client_credentials is served here."),
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
    "scope-missing": ("invalid_scope", "scope is missing."),
    "scope-refused": ("invalid_scope", "None of the scopes is one that the client may have."),
}
"""OAuth error and explanation of each reason."""

_HTML = """<!doctype html><html lang="en"><title>Authorization error</title><h1>{error}</h1><p>{text}</p></html>"""


class OAuthError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, reason: str, *, challenge: bool = False) -> None:
        """`reason` is a key of REASONS; `challenge` is for a caller that used the `Authorization` header."""
        super().__init__(REASONS[reason][1])
        self.reason = reason
        self.challenge = challenge


async def answer_oauth_error(request: Request, exc: Exception) -> Response:
    """Answer as RFC 6749, section 5.2: 400, or 401 with a challenge for a caller that used the `Authorization` header."""
    if not isinstance(exc, OAuthError):
        raise exc
    origin = f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"
    tenant = urlencode({"tenant": request.path_params.get("tenant", "")})
    uri = f"{origin}/errors/urn:cerner:error:authorization-server:oauth2:{exc.reason}/instances/{uuid4()}?{tenant}"
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if exc.challenge:
        headers["WWW-Authenticate"] = 'Basic realm="token"'
    return JSONResponse(
        {"error": REASONS[exc.reason][0], "error_uri": uri}, status_code=401 if exc.challenge else 400, headers=headers
    )


async def _explain(request: Request) -> Response:
    reason = REASONS.get(request.path_params["urn"].rpartition(":")[2])
    if reason is None:
        return HTMLResponse(_HTML.format(error="Unknown error", text="There is no such error."), status_code=404)
    return HTMLResponse(_HTML.format(error=escape(reason[0]), text=escape(reason[1])))


def error_routes() -> list[Route]:
    """Return the pages that `error_uri` leads to."""
    return [Route("/errors/{urn}/instances/{instance}", _explain, methods=["GET"])]
