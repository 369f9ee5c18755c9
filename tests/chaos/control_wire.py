"""A stretch of wire before the connector's control API: it speaks TLS to both sides, and is slow, erring or cut at will."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

_CHUNK_BYTES = 64 * 1024


class Fault(StrEnum):
    """What befalls each request, also on connections that were open before."""

    DOWN = "down"
    SLOW = "slow"
    ERRING = "erring"
    LOSING_ANSWERS = "losing answers"


@dataclass(frozen=True, slots=True)
class _Trouble:
    fault: Fault
    delay_s: float
    status: int


class ControlWire:
    """Carries what the operator and the connector say to each other."""

    def __init__(self, far_port: int, trust: ssl.SSLContext) -> None:
        self._far_port = far_port
        self._trust = trust
        self._trouble: _Trouble | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def troubled(self, fault: Fault, *, delay_s: float, status: int) -> AsyncGenerator[None]:
        """Be in trouble during the block: so slow, or answering with this status."""
        self._trouble = _Trouble(fault, delay_s, status)
        try:
            yield
        finally:
            self._trouble = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, until either side ends it."""
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self._far_port, ssl=self._trust, server_hostname="localhost"
            )
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(self._ask(reader, far_writer, writer), self._answer(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}
            far_writer.transport.abort()

    def cut(self) -> None:
        """Break every connection that is open."""
        for writer in self._open:
            writer.transport.abort()

    async def _ask(self, near: asyncio.StreamReader, far: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await near.read(_CHUNK_BYTES):
                match self._trouble:
                    case _Trouble(fault=Fault.DOWN):
                        back.transport.abort()
                        break
                    case _Trouble(fault=Fault.ERRING, status=status):
                        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
                        back.write(f"{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                        await back.drain()
                        back.close()
                        break
                    case _:
                        far.write(chunk)
                        await far.drain()
        far.close()

    async def _answer(self, far: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await far.read(_CHUNK_BYTES):
                match self._trouble:
                    case _Trouble(fault=Fault.DOWN | Fault.LOSING_ANSWERS):
                        near.transport.abort()
                        break
                    case _Trouble(fault=Fault.SLOW, delay_s=delay_s):
                        await asyncio.sleep(delay_s)
                    case _:
                        pass
                near.write(chunk)
                await near.drain()
        near.close()


@asynccontextmanager
async def running_control_wire(
    listening: socket.socket, wire: ControlWire, tls: ssl.SSLContext
) -> AsyncGenerator[ControlWire]:
    """Carry what comes to a socket that is bound already."""
    server = await asyncio.start_server(wire.serve, sock=listening, ssl=tls)
    try:
        yield wire
    finally:
        server.close()
        wire.cut()
