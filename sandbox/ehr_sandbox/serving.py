"""Serves a simulator in the running event loop, on a port of the system's choice, and lends it the connection."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ehr_sandbox.faults import TRANSPORT_EXTENSION

_GRACE_S = 1
"""Seconds that requests in progress get when the server stops: a simulated delay must not hold the stop back."""

_IDLE_S = 75
"""Longer than any client here keeps an idle connection (httpx 5 seconds, aiohttp 15): none finds it closed as it asks."""
_LOOK_S = 0.02
"""At its end the server looks this often for connections on which nothing is under way any more."""


class ServingError(Exception):
    """The app could not be served."""


@asynccontextmanager
async def serve(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_certfile: Path | str | None = None,
    ssl_keyfile: Path | str | None = None,
) -> AsyncGenerator[str]:
    """Serve `app` while the context is open, and give its base URL without a trailing slash.

    Port 0 takes a free port. With a certificate and its key the scheme is https. Signals are left to the caller.

    Raises:
        OSError: the address cannot be had.
        ServingError: the app's lifespan failed to start.
    """
    with socket.create_server((host, port)) as listener:
        # asyncio sets it only on sockets that name their protocol; without it each answer waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = _Server(
            uvicorn.Config(
                app,
                http=_LendingProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=ssl_certfile,
                ssl_keyfile=None if ssl_keyfile is None else str(ssl_keyfile),
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.wait_until_up(serving)
            scheme = "https" if ssl_certfile else "http"
            yield f"{scheme}://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.wait([serving])
    if (failure := serving.exception()) is not None:
        raise failure


async def serve_until_stopped(
    app: ASGIApp,
    tell: Callable[[str], object],
    *,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM; `tell` learns its base URL once it serves. Raises as `serve`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as handlers:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
            handlers.callback(loop.remove_signal_handler, number)
        async with serve(app, host=host, port=port, ssl_certfile=certificate, ssl_keyfile=key) as url:
            tell(url)
            await stop.wait()


class _Server(uvicorn.Server):
    """A server that says when it is up and leaves signals to the program around it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as exc:
            # Inside a task this would end the whole program.
            raise ServingError("the app failed to start; the log says why") from exc
        self._up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop without waiting for peers that keep an idle connection open."""
        dropping = asyncio.create_task(self._drop_idle())
        try:
            await super().shutdown(sockets)
        finally:
            dropping.cancel()

    async def _drop_idle(self) -> None:
        while True:
            for connection in tuple(self.server_state.connections):
                cycle = getattr(connection, "cycle", None)
                transport = getattr(connection, "transport", None)
                if isinstance(transport, asyncio.Transport) and (cycle is None or cycle.response_complete):
                    transport.abort()
            await asyncio.sleep(_LOOK_S)

    async def wait_until_up(self, serving: asyncio.Task[None]) -> None:
        """Return once connections are accepted; raises what ended `serving` before."""
        up = asyncio.create_task(self._up.wait())
        try:
            await asyncio.wait([up, serving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
        if serving.done():
            await serving


class _LendingProtocol(H11Protocol):
    """Puts the transport into each request's scope: ASGI itself has no way to drop a connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # uvicorn narrows asyncio's type in the same way.
        super().connection_made(transport)
        served = self.app

        async def lending(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT_EXTENSION] = transport
            await served(scope, receive, send)  # pyright: ignore[reportArgumentType]  # uvicorn types the scope more closely than Starlette.

        self.app = lending
