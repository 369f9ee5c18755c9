"""Around every request: an id, the security headers, a limit of the body, the count and the time.

Pure ASGI, so that streams pass untouched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ehr_connector.metrics import Metrics
from ehr_connector.web.correlation import correlation_id
from ehr_connector.web.problems import failure

_log = logging.getLogger("ehr_connector.access")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
"""The strictest; a page that needs more sets its own."""
_UNKNOWN = "(no route)"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_MOST_BYTES = 64 * 1024
"""The forms of our pages are a few fields."""


def _problem(_request: Request) -> Response:
    return failure()


class RequestMiddleware:
    """Wraps the whole app.

    `failed` answers a request at which we failed, by default with a problem. What is below `own_limits` limits its bodies
    itself; of everything else a body is refused that is larger than any form of ours, before a handler keeps any of it.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        failed: Callable[[Request], Response] = _problem,
        own_limits: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._failed = failed
        self._own_limits = tuple(own_limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = correlation_id.set(uuid4().hex)
        started_s = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if scope["path"].startswith(self._own_limits):
                await self._answered(scope, receive, sending)
            elif (refused := _refused(Headers(scope=scope))) is not None:
                await refused(scope, receive, sending)
            else:
                await self._answered(scope, _limited(receive), sending)
        finally:
            self._tell(scope, status, time.perf_counter() - started_s)
            correlation_id.reset(token)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the request handled; what nobody has caught is logged under its id and answered like any other error."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if begun:
                raise
            _log.exception("a request failed unexpectedly")
            await self._failed(Request(scope))(scope, receive, send)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log by route, never by path: a path may hold a patient's link."""
        route = getattr(scope.get("route"), "path", _UNKNOWN)
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        if route not in _PROBES:
            _log.info("%s %s %s", method, route, status, extra={"seconds": round(seconds, 4)})


def _refused(headers: Headers) -> Response | None:
    """Return the answer to a body that can be refused unread."""
    if headers.get("content-type", "").lower().startswith("multipart/"):
        # No form of ours has files, and reading one would write them to the disk.
        return PlainTextResponse("No files are taken here.\n", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > len(str(_MOST_BYTES)) or int(length) > _MOST_BYTES:
        return PlainTextResponse("The request is too large.\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return None


def _limited(receive: Receive) -> Receive:
    """Return `receive` for bodies that do not say how long they are: it ends the request where they are too long."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > _MOST_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return receiving
