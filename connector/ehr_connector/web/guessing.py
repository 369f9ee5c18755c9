"""Slows down whoever tries links that are none: refused requests are limited by address.

Good requests are neither counted nor stopped, since a hospital's clinicians, and many phones, share one address: each is
handled, and only the answer of one that is refused is replaced. Each process counts for itself: a link has 128 bits, so
the limit hides what is refused and why, and tells programs to go away, rather than keeps links secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OF_PATIENTS = parse("60/minute")
OF_STAFF = parse("600/minute")
"""A whole hospital stands behind one address: when its EHR is set up wrongly, each of its launches is refused, and says why."""
_WAIT_S = 60
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


def _no_page(_request: Request) -> Response | None:
    return None


class GuessingLimit:
    """Wraps the app: what is refused to an address that was refused too often in this minute is answered with 429.

    `limits` says below which path how many are too many. Each counts for itself: launches that fail keep no patient out.
    `page` gives the answer for a person's browser; who gets none gets a sentence.
    """

    def __init__(
        self, app: ASGIApp, limits: Mapping[str, RateLimitItem], page: Callable[[Request], Response | None] = _no_page
    ) -> None:
        self._app = app
        self._limits = dict(limits)
        self._page = page
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        http = scope["type"] == "http"
        prefix = next((one for one in self._limits if http and scope["path"].startswith(one)), None)
        if prefix is None:
            await self._app(scope, receive, send)
            return
        address = network_of(scope["client"][0] if scope.get("client") else "")
        limited = False

        async def counting(message: Message) -> None:
            nonlocal limited
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                limited = not await self._limiter.hit(self._limits[prefix], prefix, address)
                if limited:
                    await self._limited(Request(scope))(scope, receive, send)
            if not limited:
                await send(message)

        await self._app(scope, receive, counting)

    def _limited(self, request: Request) -> Response:
        answer = self._page(request) or PlainTextResponse(
            "Too many requests that were refused. Wait a minute, then open the link in your message again.\n",
            HTTPStatus.TOO_MANY_REQUESTS,
        )
        answer.headers["Retry-After"] = str(_WAIT_S)
        return answer


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 one, which one host may use whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
    return str(parsed)
