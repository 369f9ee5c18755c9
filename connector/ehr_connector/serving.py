"""The web server, with a stop that waits for requests and not for idle connections."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from asyncio import sslproto
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import uvicorn

from ehr_connector.certificate import Certificate

_GRACE_S = 20
"""Requests under way may end in this time; Kubernetes gives a pod thirty seconds."""
_IDLE_S = 3660
"""Whoever asks closes an idle connection first: Envoy after an hour, ingress-nginx after a minute. If we did, a request on its way
at that moment would be lost, and the patient would see the gateway's 503."""
_POLL_S = 0.05
_LOOK_S = 10.0
"""A certificate that was renewed is taken within this time."""
_TLS_BUFFER_BYTES = 32 * 1024
"""asyncio keeps a buffer of 256 KiB for each TLS connection; a stream of live status, open for an hour, needs next to none."""


class Server(uvicorn.Server):
    """uvicorn, which would wait at its end for every TLS peer that leaves an idle connection open, and serve an old certificate."""

    def __init__(self, config: uvicorn.Config, look_s: float) -> None:
        super().__init__(config)
        self._look_s = look_s
        self._renewing: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop in order on a signal, and leave it at that: uvicorn would raise it again, and the exit status with it."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and look after the certificate from now on."""
        # Its files as they are now, right after they were loaded: the start may migrate a database for minutes.
        certificate = self._certificate()
        await super().startup(sockets)
        if certificate is not None:
            self._renewing = asyncio.create_task(certificate.keep(self._look_s))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, end those under way, then drop what is left of connections."""
        # Before uvicorn closes them: to close a TLS connection a second time takes away the means to abort it.
        self._drop_idle()
        dropping = asyncio.create_task(self._drop_as_they_end())
        try:
            await super().shutdown(sockets)
        finally:
            dropping.cancel()
            if self._renewing is not None:
                self._renewing.cancel()

    def _certificate(self) -> Certificate | None:
        context, chain, key = self.config.ssl, self.config.ssl_certfile, self.config.ssl_keyfile
        if context is None or chain is None or key is None:
            return None
        return Certificate(context, os.fspath(chain), os.fspath(key))

    async def _drop_as_they_end(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            self._drop_idle()

    def _drop_idle(self) -> None:
        """Drop connections without a request: `close` would await the peer's part of the TLS farewell."""
        for connection in tuple(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            transport = getattr(connection, "transport", None)
            if isinstance(transport, asyncio.Transport) and (cycle is None or cycle.response_complete):
                transport.abort()


def server(
    app: object,
    *,
    host: str,
    port: int,
    certificate: str | None,
    key: str | None,
    trusted_proxies: Sequence[str] = (),
    look_s: float = _LOOK_S,
) -> Server:
    """Return the server of an app; with a certificate it speaks TLS, and looks every `look_s` whether that was renewed."""
    sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES
    return Server(
        uvicorn.Config(
            app,  # pyright: ignore[reportArgumentType]  (uvicorn types the scope more closely than Starlette)
            host=host,
            port=port,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=list(trusted_proxies),
            ws="none",
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_GRACE_S,
        ),
        look_s,
    )
