"""A server that answers as EHRs and other servers do, each behaviour under a path of its own."""

from __future__ import annotations

import asyncio
import codecs
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
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
    "grant_types_supported": ["authorization_code", "client_credentials"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
}
_CHUNK = b"x" * 65536
HUGE_BYTES = 100 * 1024 * 1024
CANARY = "Nancy-Smart-1990"
"""Stands for patient data, and for secrets, in whatever a strange server sends."""
_BOMB = gzip.compress(b"0" * 64 * 1024 * 1024)
"""64 kB that unpack to 64 MB."""
_STATEMENT = json.dumps({**CAPABILITIES, "title": CANARY})
_FHIR = "application/fhir+json"
_UTF8 = f"{_FHIR}; charset=utf-8"
_JSON = "application/json"
_TEXT = "text/plain"
_ANSWERS: dict[str, tuple[bytes | str, str, int, dict[str, str]]] = {
    "forbidden": (f"Tenant not valid or accessible {CANARY}", _TEXT, 403, {}),
    "missing": (CANARY, _TEXT, 404, {}),
    "sign-in": (CANARY, _TEXT, 401, {"WWW-Authenticate": f'Basic realm="{CANARY}"'}),
    "broken": (CANARY, _TEXT, 500, {}),
    "busy": (CANARY, _TEXT, 429, {"Retry-After": "30"}),
    "html": (f"<html>sign in, {CANARY}</html>", "text/html; charset=utf-8", 200, {}),
    "html-as-json": (f"<!doctype html><html>{CANARY}</html>", _FHIR, 200, {}),
    "truncated": (_STATEMENT[: len(_STATEMENT) // 2], _FHIR, 200, {}),
    "latin-1": (_STATEMENT.replace("Nancy", "Näncy").encode("latin-1"), _FHIR, 200, {}),
    "utf-16": (_STATEMENT.encode("utf-16"), f"{_FHIR}; charset=UTF-16", 200, {}),
    "utf-16-le": (_STATEMENT.encode("utf-16-le"), f"{_FHIR}; charset=utf-16le", 200, {}),
    "bom": (codecs.BOM_UTF8 + _STATEMENT.encode(), _FHIR, 200, {}),
    "xml": ("<CapabilityStatement/>", "application/fhir+xml", 200, {}),
    "empty": (b"", _FHIR, 200, {}),
    "list": (json.dumps([CAPABILITIES]), _JSON, 200, {}),
    "deep": ("[" * 100_000, _JSON, 200, {}),
    "gzip": (b"\x1f\x8b", _JSON, 200, {"Content-Encoding": "gzip"}),
    "bomb": (_BOMB, _JSON, 200, {"Content-Encoding": "gzip"}),
}
"""Body, media type, status and headers of each behaviour that needs no more."""


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
                    Route("/login", self._login),
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
        behaviour: str = request.path_params["behaviour"]
        match behaviour:
            case "redirect":
                return RedirectResponse(f"{self._redirect_to}/r4/metadata")
            case "login":
                return RedirectResponse(f"{self._redirect_to}/login?session={CANARY}#{CANARY}", status_code=302)
            case "huge":
                return StreamingResponse(self._huge(), media_type=_FHIR)
            case "drip":
                return StreamingResponse(self._drip(), media_type=_FHIR)
            case _:
                return _answer(behaviour)

    async def _login(self, request: Request) -> Response:
        return Response(f"<html>{CANARY}</html>", media_type="text/html")

    async def _huge(self) -> AsyncIterator[bytes]:
        for _ in range(HUGE_BYTES // len(_CHUNK)):
            self.sent_bytes += len(_CHUNK)
            yield _CHUNK

    async def _drip(self) -> AsyncIterator[bytes]:
        for _ in range(600):
            yield b" "
            await asyncio.sleep(0.05)


def _answer(behaviour: str) -> Response:
    body, media_type, status, headers = _ANSWERS.get(behaviour, (json.dumps(CAPABILITIES), _UTF8, 200, {}))
    return Response(body, status, headers, media_type)
