"""A server on this machine that answers in every way that a remote system may."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ehr_clients.http import client
from ehr_sandbox.fault_rules import FaultRule
from ehr_sandbox.faults import FaultMiddleware, Faults
from ehr_sandbox.serving import serve

CANARY = "Nancy-Smart-1990"
"""Stands for patient data: in the query of each request, and in the body of each answer."""


@dataclass
class Server:
    """The running server."""

    url: str
    faults: Faults
    seen: list[httpx.Headers] = field(default_factory=list[httpx.Headers])
    """The headers of each request that was handled."""

    def fault(self, rule: FaultRule) -> None:
        """Let this befall the next request."""
        self.faults.replace([rule])

    def request(self, path: str, method: str = "GET", **headers: str) -> httpx.Request:
        """A request with the canary in its query."""
        return httpx.Request(method, f"{self.url}{path}", params={"name": CANARY}, headers=headers)


def application(seen: list[httpx.Headers]) -> Starlette:
    async def hello(request: Request) -> Response:
        seen.append(httpx.Headers(list(request.headers.items())))
        return JSONResponse({"name": CANARY, "count": "three"}, headers={"Content-Type": "Application/FHIR+JSON; v=1"})

    async def status(request: Request) -> Response:
        headers = {name: request.headers[f"x-{name}"] for name in ("retry-after",) if f"x-{name}" in request.headers}
        return JSONResponse({"error": CANARY}, status_code=request.path_params["status"], headers=headers)

    async def redirect(request: Request) -> Response:
        return RedirectResponse(f"/hello?name={CANARY}", status_code=request.path_params["status"])

    async def big(_request: Request) -> Response:
        return Response(b"x" * 2000)

    async def endless(_request: Request) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 100
                await asyncio.sleep(0.01)

        return StreamingResponse(drops())

    async def compressed(_request: Request) -> Response:
        return Response(gzip.compress(b"x" * 2000), headers={"Content-Encoding": "gzip"})

    return Starlette(
        routes=[
            Route("/hello", hello, methods=["GET", "POST"]),
            Route("/status/{status:int}", status),
            Route("/redirect/{status:int}", redirect),
            Route("/big", big),
            Route("/endless", endless),
            Route("/compressed", compressed),
        ]
    )


@pytest_asyncio.fixture
async def server() -> AsyncGenerator[Server]:
    """The server, over plain HTTP."""
    seen: list[httpx.Headers] = []
    faults = Faults()
    async with serve(FaultMiddleware(application(seen), faults)) as url:
        yield Server(url, faults, seen)


@pytest_asyncio.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    """The client as the product makes it."""
    async with client() as made:
        yield made


@pytest.fixture
def closed_port_url() -> str:
    """An address where nothing listens."""
    return "http://127.0.0.1:1"
