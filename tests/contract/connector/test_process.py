"""The connector as a process: it serves over TLS, and it stops as a pod is expected to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.connector.issuer import Issuer
from contract.connector.running import organization, path_of
from free_ports import free_port

from ehr_sandbox.local_ca import LocalCA

STOP_LIMIT_S = 10.0
"""Half of the time for requests under way, which a server would use up that waits for idle connections too."""


@dataclass
class Process:
    """A connector that runs on a port of its own."""

    process: asyncio.subprocess.Process
    port: int
    http: httpx.AsyncClient
    ca: LocalCA
    log: Path

    async def idle_connection(self) -> asyncio.StreamWriter:
        """Open a TLS connection, ask once, and keep it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.ca.client_context())
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        return writer

    async def stop(self) -> float:
        """Send SIGTERM and return the seconds until the process is gone."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.wait(), timeout=15)
        return time.monotonic() - started

    def lines(self) -> list[dict[str, Any]]:
        """The log, each line of which is one JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
async def process(
    issuer: Issuer, ca: LocalCA, certificate: tuple[Path, Path], keys_dir: Path, sqlite_url: str, tmp_path: Path
) -> AsyncGenerator[Process]:
    """A connector that is ready."""
    chain, key = certificate
    port = free_port()
    settings = {
        "DATABASE_URL": sqlite_url,
        "GEOGRAPHY": "Americas",
        "KEYS_DIR": str(keys_dir),
        "CONTROL_ISSUER": issuer.url,
        "CONTROL_CA_FILE": str(ca.ca_file),
        "TLS_CERT_FILE": str(chain),
        "TLS_KEY_FILE": str(key),
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EHR_")}
    environment |= {f"EHR_CONNECTOR_{name}": value for name, value in settings.items()}
    async with AsyncExitStack() as resources:
        log = tmp_path / "log"
        output = resources.enter_context(log.open("wb"))
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ehr_connector", env=environment, stderr=output, stdout=output
        )
        resources.push_async_callback(_kill, started)
        http = await resources.enter_async_context(
            httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=ca.client_context(), trust_env=False)
        )
        await _ready(http)
        yield Process(started, port, http, ca, log)


async def _ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.TransportError):
                if (await http.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@asynccontextmanager
async def under_way(process: Process, issuer: Issuer, seconds: float) -> AsyncGenerator[asyncio.Task[httpx.Response]]:
    """Send a request that takes some time, because the issuer does, and wait until it is being handled."""
    issuer.delay_s = seconds
    bearer = {"Authorization": f"Bearer {issuer.token()}"}
    request = asyncio.create_task(process.http.get(path_of(organization()), headers=bearer, timeout=10))
    async with asyncio.timeout(5):
        await issuer.asked.wait()
    try:
        yield request
    finally:
        request.cancel()


async def test_it_stops_although_a_client_keeps_an_idle_connection_open(process: Process) -> None:
    connections = [await process.idle_connection() for _ in range(3)]
    assert await process.stop() < STOP_LIMIT_S
    for writer in connections:
        writer.transport.abort()


async def test_it_stops_although_a_client_never_answered_the_end_of_a_connection(process: Process) -> None:
    def ask_and_sleep() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", process.port))
        connection = process.ca.client_context().wrap_socket(plain, server_hostname="localhost")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        return connection

    connection = await asyncio.to_thread(ask_and_sleep)
    await asyncio.sleep(1.0)  # the server has said farewell by now, and waits for the client's

    assert await process.stop() < STOP_LIMIT_S
    connection.close()


async def test_a_request_under_way_is_finished_before_it_stops(process: Process, issuer: Issuer) -> None:
    idle = await process.idle_connection()
    async with under_way(process, issuer, 1.0) as request:
        seconds = await process.stop()
        answer = await request
    idle.transport.abort()
    assert (answer.status_code, 0.5 < seconds < STOP_LIMIT_S) == (404, True)


async def test_while_it_stops_no_new_connection_is_taken(process: Process, issuer: Issuer) -> None:
    async with under_way(process, issuer, 1.0) as request:
        process.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", process.port)
        assert (await request).status_code == 404
    await asyncio.wait_for(process.process.wait(), STOP_LIMIT_S)


async def test_every_line_of_its_output_is_json_and_requests_have_their_id(process: Process) -> None:
    answer = await process.http.get("/nowhere")
    await process.stop()
    lines = process.lines()
    assert all({"level", "logger", "message", "timestamp"} <= set(line) for line in lines)
    access = [line for line in lines if line["logger"] == "ehr_connector.access"]
    assert [line["correlation_id"] for line in access] == [answer.json()["correlationID"]]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # an old client, on purpose
async def test_it_speaks_tls_1_2_at_least(process: Process) -> None:
    old = process.ca.client_context()
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", process.port, ssl=old)


async def test_a_client_that_leaves_in_the_middle_of_a_body_does_not_hold_the_stop_back(
    process: Process, issuer: Issuer
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port, ssl=process.ca.client_context())
    head = f"PUT {path_of(organization())} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\nContent-Length: 1000\r\n"
    writer.write(f"{head}Authorization: Bearer {issuer.token()}\r\n\r\n{{".encode())
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.transport.abort()
    del reader
    assert await process.stop() < STOP_LIMIT_S


async def test_an_orderly_stop_is_no_failure(process: Process) -> None:
    await process.stop()
    assert process.process.returncode == 0


async def test_it_stops_on_ctrl_c_too(process: Process) -> None:
    process.process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.process.wait(), STOP_LIMIT_S)
    assert not [line for line in process.lines() if line["level"] == "ERROR"]
