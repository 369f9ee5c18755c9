"""Fixtures: an EHR over TLS whose answers a test sets, and the client that the product uses."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_clients.http import Http, client, tls_context
from ehr_clients.smart import SigningKey
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve


@dataclass
class Ehr:
    """A server that gives the same answer to everything, and remembers what it was asked."""

    origin: str = ""
    answer: Response = field(default_factory=lambda: JSONResponse({}))
    requests: list[Request] = field(default_factory=list[Request])
    forms: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.app = Starlette(routes=[Route("/{path:path}", self._handle, methods=["GET", "POST", "PUT", "DELETE"])])

    @property
    def base_url(self) -> str:
        """The FHIR base URL."""
        return f"{self.origin}/r4"

    def answers(self, body: Any, status: int = 200, **headers: str) -> None:
        """Set the answer to a JSON body."""
        self.answer = JSONResponse(body, status, headers)

    async def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        self.forms.append(dict(parse_qsl((await request.body()).decode())))
        return self.answer


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCA:
    """The authority of the server."""
    return LocalCA.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def certificate(ca: LocalCA) -> tuple[Path, Path]:
    """Chain and key of the server."""
    return ca.server_certificate("ehr", "127.0.0.1")


@pytest.fixture
async def ehr(certificate: tuple[Path, Path]) -> AsyncGenerator[Ehr]:
    """The running server."""
    running = Ehr()
    chain, key = certificate
    async with serve(running.app, ssl_certfile=chain, ssl_keyfile=key) as running.origin:
        yield running


@pytest.fixture
async def http(ca: LocalCA, ehr: Ehr) -> AsyncGenerator[Http]:
    """The client as the product makes it; its connections end before the server does, which would wait for them."""
    del ehr
    async with client(tls=tls_context(ca.ca_file)) as made:
        yield made


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    """A key for ES384."""
    return SigningKey(ECKey.generate_key("P-384", private=True), "ES384", "20260101T000000Z-aa")
