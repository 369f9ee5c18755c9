"""A connection whose TLS handshake is cut off is closed at once, at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network

import httpx
import pytest
import pytest_asyncio

from ehr_clients.errors import TemporaryError
from ehr_clients.guard import GuardedTransport
from ehr_clients.http import Http, client, exchange, tls_context

CLOSED_WITHIN_S = 5


@dataclass
class Silent:
    """A server that takes a connection and what it is sent, and answers nothing."""

    port: int = 0
    greeted: asyncio.Event = field(default_factory=asyncio.Event)
    """A handshake has begun."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """The other side has closed the connection."""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read until the other side closes."""
        try:
            while await reader.read(4096):
                self.greeted.set()
        except ConnectionResetError:
            pass
        self.left.set()
        writer.close()


@pytest_asyncio.fixture
async def silent() -> AsyncGenerator[Silent]:
    """The server, while it listens."""
    made = Silent()
    async with await asyncio.start_server(made.take, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


def guarded() -> Http:
    """A client that connects to checked addresses."""
    return client(transport=GuardedTransport(tls=tls_context(), allowed=[ip_network("127.0.0.0/8")]))


async def send(http: Http, silent: Silent, timeout_s: float) -> None:
    request = http.build_request("GET", f"https://127.0.0.1:{silent.port}/r4/metadata")
    await exchange(http, request, system="FHIR server", operation="read CapabilityStatement", timeout_s=timeout_s)


@pytest.mark.parametrize("made", [client, guarded])
async def test_a_request_that_is_cancelled_in_its_handshake_leaves_no_connection(
    silent: Silent, made: Callable[[], Http]
) -> None:
    async with made() as http:
        request = asyncio.create_task(send(http, silent, 30))
        await silent.greeted.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        async with asyncio.timeout(CLOSED_WITHIN_S):
            await silent.left.wait()


@pytest.mark.parametrize("made", [client, guarded])
async def test_a_deadline_that_passes_in_a_handshake_leaves_no_connection(
    silent: Silent, made: Callable[[], Http]
) -> None:
    async with made() as http:
        with pytest.raises(TemporaryError, match="no complete answer"):
            await send(http, silent, 0.3)
        assert silent.greeted.is_set()
        async with asyncio.timeout(CLOSED_WITHIN_S):
            await silent.left.wait()


async def test_a_handshake_that_takes_too_long_leaves_no_connection(silent: Silent) -> None:
    async with client() as http:
        http.timeout = httpx.Timeout(5, connect=0.3)
        with pytest.raises(TemporaryError, match="no connection"):
            await send(http, silent, 30)
        async with asyncio.timeout(CLOSED_WITHIN_S):
            await silent.left.wait()


async def test_a_look_at_a_certificate_that_is_cut_off_leaves_no_connection(silent: Silent) -> None:
    transport = GuardedTransport(tls=tls_context(), allowed=[ip_network("127.0.0.0/8")])
    look = asyncio.create_task(transport.presented_certificate("127.0.0.1", silent.port))
    await silent.greeted.wait()
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    async with asyncio.timeout(CLOSED_WITHIN_S):
        await silent.left.wait()
