"""httpx's transport, which here lets go of a connection whatever ends its TLS handshake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

_Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class HttpTransport(httpx.AsyncHTTPTransport):
    """Closes its connection also when a request is cancelled in the middle of the TLS handshake.

    httpcore (1.0.9, and its successor 2.16) closes it after an error alone. What a deadline cuts off would stay open,
    here and at the server, until the garbage collector comes by: a server that hangs would use up our file descriptors.
    The events are public (httpx, "Extensions", trace).
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; raises what httpx does."""
        request.extensions = {**request.extensions, "trace": _closing_what_is_cut_off()}
        return await super().handle_async_request(request)


def _closing_what_is_cut_off() -> _Trace:
    connection: Any = None

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        nonlocal connection
        if event == "connection.connect_tcp.complete":
            connection = info["return_value"]
        elif event == "connection.start_tls.failed" and not isinstance(info["exception"], Exception):
            await connection.aclose()

    return trace
