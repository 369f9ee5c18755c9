"""A server that answers as EHRs and other servers do, each behaviour under a path of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ehr_sandbox.fault_rules import FaultRule
from ehr_sandbox.faults import FaultMiddleware, Faults

CAPABILITIES: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [
        {
            "resource": [
                {
                    "type": "Appointment",
                    "interaction": [{"code": "read"}, {"code": "search-type"}, {"code": "patch"}],
                }
            ]
        }
    ],
}
SMART: dict[str, Any] = {
    "authorization_endpoint": "https://auth.lamna.test/authorize",
    "token_endpoint": "https://auth.lamna.test/token",
    "capabilities": ["launch-ehr"],
    "code_challenge_methods_supported": ["S256"],
    "grant_types_supported": ["client_credentials"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
}
_CHUNK = b"x" * 65536


class Ehr:
    """The server and the log of what was asked of it."""

    def __init__(self, redirect_to: str = "") -> None:
        self._redirect_to = redirect_to
        self.faults = Faults()
        self.faults.replace([FaultRule(action="half_answer", path="^/half/", count=None)])
        self.app: ASGIApp = FaultMiddleware(
            Starlette(
                routes=[
                    Route("/{behaviour}/metadata", self._metadata),
                    Route("/{behaviour}/.well-known/smart-configuration", self._smart),
                ]
            ),
            self.faults,
        )
        self.headers: list[dict[str, str]] = []
        self.sent_bytes = 0

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [entry.path for entry in self.faults.log]

    async def _smart(self, request: Request) -> Response:
        return JSONResponse(SMART)

    async def _metadata(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        match request.path_params["behaviour"]:
            case "redirect":
                return RedirectResponse(f"{self._redirect_to}/r4/metadata")
            case "huge":
                return StreamingResponse(self._huge(), media_type="application/fhir+json")
            case "drip":
                return StreamingResponse(self._drip(), media_type="application/fhir+json")
            case "forbidden":
                return PlainTextResponse("Tenant not valid or accessible", status_code=403)
            case "html":
                return Response("<html>sign in</html>", media_type="text/html; charset=utf-8")
            case "list":
                return JSONResponse([CAPABILITIES])
            case "deep":
                return Response("[" * 100_000, media_type="application/json")
            case "gzip":
                return Response(b"\x1f\x8b", media_type="application/json", headers={"Content-Encoding": "gzip"})
            case _:
                return Response(json.dumps(CAPABILITIES), media_type="application/fhir+json; charset=utf-8")

    async def _huge(self) -> AsyncIterator[bytes]:
        for _ in range(1024):
            self.sent_bytes += len(_CHUNK)
            yield _CHUNK

    async def _drip(self) -> AsyncIterator[bytes]:
        for _ in range(600):
            yield b" "
            await asyncio.sleep(0.05)
