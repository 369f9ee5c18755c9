"""An EHR over TLS that knows the connector's keys, and EHRs that misbehave in ways of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from contract.connector.running import Connector, Document, with_endpoints
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.app import create_app
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

TENANT = "5f3c2a10-0000-4000-8000-000000000001"
OTHER_TENANT = "5f3c2a10-0000-4000-8000-000000000002"
UNKNOWN_TENANT = "5f3c2a10-0000-4000-8000-000000000009"
CLIENT = "lamna-system"
NARROW_CLIENT = "lamna-narrow"
UNKEPT_CLIENT = "lamna-elsewhere"
SCOPES = ["system/Appointment.read", "system/Patient.read"]
LOOPBACK = "127.0.0.0/8"


def endpoint_at(base_url: str, **changes: Any) -> Document:
    """The document of an organisation with one endpoint at this base URL."""
    usual: Document = {"systemClientID": CLIENT, "systemScopes": SCOPES}
    return with_endpoints(base_url, change=lambda endpoint: endpoint | usual | changes)


@dataclass
class Cerner:
    """The running stand-in."""

    origin: str
    http: httpx.AsyncClient

    def base_url(self, tenant: str = TENANT) -> str:
        """The FHIR base URL of a tenant."""
        return f"{self.origin}/r4/{tenant}"

    async def fault(self, path: str, **rule: Any) -> None:
        """Let something befall every request whose path matches."""
        answer = await self.http.put("/_sandbox/faults", json=[{"path": path, "count": None} | rule])
        assert answer.status_code == 200, answer.text

    async def requests(self) -> list[str]:
        """The paths of all requests so far."""
        answer = await self.http.get("/_sandbox/requests")
        return [entry["path"] for entry in answer.json()["requests"]]


@asynccontextmanager
async def running_cerner(connector: Connector, ca: LocalCA, certificate: tuple[Path, Path]) -> AsyncGenerator[Cerner]:
    """Run the stand-in for the time of the block; it reads the connector's own JWKS."""

    async def jwks(_request: Request) -> Response:
        answer = await connector.http.get("/.well-known/jwks.json")
        return Response(answer.content, answer.status_code, media_type=answer.headers["Content-Type"])

    async def strange_jwks(_request: Request) -> Response:
        return JSONResponse({"keys": []})

    chain, key = certificate
    published = Starlette(routes=[Route("/jwks.json", jwks), Route("/strange.json", strange_jwks)])
    async with serve(published, ssl_certfile=chain, ssl_keyfile=key) as keys_url:
        settings = CernerSettings(
            tenants=frozenset({TENANT, OTHER_TENANT}),
            client_jwks_urls={
                CLIENT: f"{keys_url}/jwks.json",
                NARROW_CLIENT: f"{keys_url}/jwks.json",
                UNKEPT_CLIENT: f"{keys_url}/strange.json",
            },
            client_scopes={NARROW_CLIENT: frozenset({"system/Appointment.read"})},
            client_ca=ca.ca_file,
        )
        async with (
            serve(create_app(settings), ssl_certfile=chain, ssl_keyfile=key) as origin,
            httpx.AsyncClient(base_url=origin, verify=ca.client_context(), trust_env=False) as http,
        ):
            yield Cerner(origin, http)


@dataclass
class StrangeEhr:
    """An EHR whose three answers a test sets."""

    origin: str = ""
    token_endpoint: str | None = None
    configuration: Response | None = None
    token: Response | None = None
    appointments: Response | None = None
    requests: list[str] = field(default_factory=list[str])
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/r4/.well-known/smart-configuration", self._configuration),
                Route("/r4/token", self._token, methods=["POST"]),
                Route("/r4/Appointment", self._appointments),
            ]
        )

    @property
    def base_url(self) -> str:
        """The FHIR base URL."""
        return f"{self.origin}/r4"

    async def _configuration(self, _request: Request) -> Response:
        self.requests.append("smart-configuration")
        return self.configuration or JSONResponse({"token_endpoint": self.token_endpoint or f"{self.base_url}/token"})

    async def _token(self, _request: Request) -> Response:
        self.requests.append("token")
        return self.token or JSONResponse(granted())

    async def _appointments(self, _request: Request) -> Response:
        self.requests.append("Appointment")
        return self.appointments or JSONResponse({"resourceType": "Bundle", "type": "searchset"})


def granted(**changes: Any) -> dict[str, Any]:
    """The body of a granted token."""
    return {"access_token": "s3cret-token", "token_type": "Bearer", "scope": " ".join(SCOPES)} | changes
