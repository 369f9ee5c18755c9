"""The refusals of Graph and of Entra, in the shape of each."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class GraphError(Exception):
    """A refusal of Graph."""

    def __init__(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def graph_error_body(code: str, message: str, client_request_id: str | None = None) -> dict[str, Any]:
    """Return an error answer's body.

    Source: Graph, "Microsoft Graph error responses and resource types".
    """
    request_id = str(uuid4())
    inner = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": client_request_id or request_id,
    }
    return {"error": {"code": code, "message": message, "innerError": inner}}


async def answer_graph_error(request: Request, exc: Exception) -> Response:
    """Answer a call that Graph refuses."""
    if not isinstance(exc, GraphError):
        raise TypeError from exc
    body = graph_error_body(exc.code, exc.message, request.headers.get("client-request-id"))
    return JSONResponse(body, status_code=exc.status, headers=exc.headers)


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """Refuse a request that is wrong in itself."""
    return GraphError(400, code, message)


class EntraError(Exception):
    """A refusal of Entra: an OAuth error with Entra's own number, `AADSTS…`."""

    def __init__(self, error: str, number: int, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.error = error
        self.number = number
        self.message = message
        self.status = status or (401 if error == "invalid_client" else 400)

    def description(self, trace_id: str, correlation_id: str, time: str) -> str:
        """Return `error_description`."""
        return (
            f"AADSTS{self.number}: {self.message} Trace ID: {trace_id} Correlation ID: {correlation_id}"
            f" Timestamp: {time}"
        )


async def answer_entra_error(request: Request, exc: Exception) -> Response:
    """Answer a call that Entra refuses.

    Source: Microsoft identity platform, "Handling error codes in your application".
    """
    if not isinstance(exc, EntraError):
        raise TypeError from exc
    asked = request.headers.get("client-request-id", "")
    correlation_id = asked if re.fullmatch(r"[0-9a-fA-F-]{36}", asked) else str(uuid4())
    trace_id, time = str(uuid4()), datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    body: dict[str, Any] = {
        "error": exc.error,
        "error_description": exc.description(trace_id, correlation_id, time),
        "error_codes": [exc.number],
        "timestamp": time,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={exc.number}",
    }
    return JSONResponse(body, status_code=exc.status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
