"""The two ways to prove oneself to Azure Communication Services: an access key, or a token of Microsoft Entra ID."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

import httpx

ENTRA_SCOPE = "https://communication.azure.com/.default"
"""The scope to ask Entra for."""

FetchToken = Callable[[], Awaitable[str]]
"""Gives a current access token for `ENTRA_SCOPE`; it caches."""


class AccessKeyAuth(httpx.Auth):
    """Signs each request with the resource's access key.

    Source: Azure Communication Services, "Sign an HTTP request" (HMAC-SHA256 over verb, path with query, date, host and
    content hash).
    """

    requires_request_body = True

    def __init__(self, access_key: str) -> None:
        """Raises ValueError when the key is not base64."""
        try:
            self._key = base64.b64decode(access_key, validate=True)
        except ValueError as exc:
            raise ValueError("the access key of Communication Services must be base64, as the portal shows it") from exc

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add date, content hash and signature."""
        date = email.utils.formatdate(usegmt=True)
        content_hash = base64.b64encode(hashlib.sha256(request.content).digest()).decode()
        host = request.headers["host"]
        path_and_query = request.url.raw_path.decode("ascii")
        to_sign = f"{request.method}\n{path_and_query}\n{date};{host};{content_hash}"
        signature = base64.b64encode(hmac.new(self._key, to_sign.encode(), hashlib.sha256).digest()).decode()
        request.headers["x-ms-date"] = date
        request.headers["x-ms-content-sha256"] = content_hash
        request.headers["Authorization"] = (
            f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}"
        )
        yield request


class EntraTokenAuth(httpx.Auth):
    """Adds a bearer token of Entra ID, such as a workload identity gets."""

    def __init__(self, fetch_token: FetchToken) -> None:
        self._fetch_token = fetch_token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the token."""
        request.headers["Authorization"] = f"Bearer {await self._fetch_token()}"
        yield request
