"""The connector's own server, as it listens in its pod: TLS, and a page that says ok."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ehr_connector.serving import server
from ehr_sandbox.local_ca import LocalCA

LOOK_S = 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Serving:
    """A server that speaks TLS."""

    port: int
    ca: LocalCA

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.ca.client_context(), server_hostname="localhost"
        )

    async def serial(self) -> int:
        """Shake hands, and return the serial number of what was shown."""
        _, writer = await self.connect()
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        der = shown.getpeercert(binary_form=True)
        writer.transport.abort()
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number

    async def shows(self, serial: int) -> None:
        """Wait until handshakes show a certificate."""
        while await self.serial() != serial:  # noqa: ASYNC110 (what is waited for happens in a handshake)
            await asyncio.sleep(LOOK_S)


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"content-length: 2" in head
    return await reader.readexactly(2)


@asynccontextmanager
async def serving_ok(ca: LocalCA, chain: Path, key: Path) -> AsyncGenerator[Serving]:
    """Serve with a certificate, looking often whether it was renewed."""

    async def ok(_request: Request) -> Response:
        return PlainTextResponse("ok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        web = server(
            Starlette(routes=[Route("/", ok)]),
            host="127.0.0.1",
            port=0,
            certificate=str(chain),
            key=str(key),
            look_s=LOOK_S,
        )
        running = asyncio.create_task(web.serve(sockets=[listener]))
        try:
            while not web.started:  # noqa: ASYNC110 (uvicorn tells by this attribute)
                await asyncio.sleep(LOOK_S)
            yield Serving(listener.getsockname()[1], ca)
        finally:
            web.should_exit = True
            await running
