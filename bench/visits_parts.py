"""Processes beside the connector in bench/visits.py: the stand-ins, a bare server, and a client that holds streams.

Run by bench/visits.py with the name of the part and its arguments as JSON; each prints one JSON line when it is ready.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from ehr_sandbox.cerner.app import create_app as create_cerner
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.graph.app import create_app as create_graph
from ehr_sandbox.graph.settings import GraphSettings
from ehr_sandbox.graph.world import example_world
from ehr_sandbox.serving import serve

Arguments = dict[str, Any]
_AT_ONCE = 24


def raise_file_limit() -> int:
    """Allow as many open files as the system lets us, and return how many that are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def stand_ins(given: Arguments) -> None:
    """Serve the stand-ins of the EHR and of Microsoft until killed."""
    tls: Any = {"ssl_certfile": given["chain"], "ssl_keyfile": given["key"]}
    ca_file, connector = Path(given["ca_file"]), given["connector"]
    jwks = f"{connector}/.well-known/jwks.json"
    settings = CernerSettings(
        tenants=frozenset({given["tenant"]}), client_jwks_urls={given["system_client"]: jwks}, client_ca=ca_file
    )
    world = example_world(redirect_uris=[f"{connector}/sign-in/callback"])
    async with (
        serve(create_cerner(settings), **tls) as cerner,
        serve(create_graph(GraphSettings(ca_file=ca_file), world), **tls) as graph,
    ):
        _ready(cerner=cerner, graph=graph)
        await asyncio.Event().wait()


async def hello(given: Arguments) -> None:
    """Serve `hello` with uvicorn and nothing else, over TLS as the connector."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"hello"})

    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  (uvicorn types the scope more closely than Starlette)
        port=given["port"],
        ssl_certfile=given["chain"],
        ssl_keyfile=given["key"],
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has nothing to wait for)
        await asyncio.sleep(0.05)
    _ready()
    await task


async def streams(given: Arguments) -> None:
    """Open status streams and hold them; tell when each heard something after the moment in a line of standard input."""
    raise_file_limit()
    gate = asyncio.Semaphore(_AT_ONCE)
    tls = ssl.create_default_context(cafile=given["ca_file"])
    began_s = time.monotonic()
    opened = await asyncio.gather(*(_open(given, tls, gate) for _ in range(given["number"])))
    held = [one for one in opened if one is not None]
    _ready(open=len(held), seconds=time.monotonic() - began_s)
    told = [0.0] * len(held)
    followers = [asyncio.create_task(_follow(reader, told, number)) for number, (reader, _) in enumerate(held)]
    loop = asyncio.get_running_loop()
    first_told: dict[int, float] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        began = float(line)
        first_told.clear()
        async with asyncio.timeout(60):
            while len(first_told) < len(held):
                first_told |= {n: at for n, at in enumerate(told) if at >= began and n not in first_told}
                await asyncio.sleep(0.02)
        _ready(first=min(first_told.values()), last=max(first_told.values()))
    for follower in followers:
        follower.cancel()


async def _open(
    given: Arguments, tls: ssl.SSLContext, gate: asyncio.Semaphore
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    async with gate:
        reader, writer = await asyncio.open_connection("localhost", given["port"], ssl=tls, limit=4096)
        host = f"localhost:{given['port']}"
        headers = {"Host": host, "Cookie": given["cookie"], "User-Agent": given["agent"], "Accept": "text/event-stream"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {given['path']} HTTP/1.1\r\n{lines}\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            writer.close()
            return None
        await reader.readuntil(b"event: ")
        return reader, writer


async def _follow(reader: asyncio.StreamReader, told: list[float], number: int) -> None:
    while True:
        await reader.readuntil(b"event: ")
        told[number] = datetime.now(UTC).timestamp()


def _ready(**found: Any) -> None:
    print(json.dumps(found), flush=True)


PARTS: dict[str, Callable[[Arguments], Awaitable[None]]] = {"stand-ins": stand_ins, "hello": hello, "streams": streams}


if __name__ == "__main__":
    asyncio.run(PARTS[sys.argv[1]](json.loads(sys.argv[2])))  # pyright: ignore[reportArgumentType]  (coroutines)
