"""Faults on request, shared by the simulators: what `PUT /_sandbox/faults` asks for happens to the requests that follow.

A rule picks requests by method and path and says what befalls them: a delay, an error status, a connection that is
dropped before or after the request is handled, half an answer. The same object keeps the log of requests. Nothing under
`/_sandbox` is ever disturbed or logged, so a test can always take the faults away again.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ehr_sandbox.fault_rules import ActiveRule, FaultRule

CONTROL_PREFIX = "/_sandbox"
"""Everything under this path steers the simulator and is no part of what it simulates."""

TRANSPORT_EXTENSION = "ehr_sandbox.transport"
"""Under this name `ehr_sandbox.serving` puts the connection's transport into the ASGI scope, so that it can be closed."""

_LOG_SIZE = 20_000
"""Requests that are remembered; a run of 2,000 endpoints makes fewer."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the simulator saw it: no header, query or body, so no secret."""

    method: str
    path: str
    status: int | None
    """What was answered, or would have been where the answer was lost; None when nothing was handled."""
    time: datetime
    seconds: float
    fault: str | None


def _plain_error(status: int) -> dict[str, Any]:
    return {"error": {"code": "SandboxFault", "message": f"status {status}, as PUT {CONTROL_PREFIX}/faults asked"}}


@dataclass
class Faults:
    """The rules in force and the log of requests."""

    error_body: Callable[[int], Any] = _plain_error
    """The JSON body that the simulated system would give with an error status."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rules: list[ActiveRule] = field(default_factory=list[ActiveRule])
    log: deque[LoggedRequest] = field(default_factory=lambda: deque[LoggedRequest](maxlen=_LOG_SIZE))

    def replace(self, rules: list[FaultRule]) -> None:
        """Put these rules in force instead of all earlier ones; counting starts anew."""
        self.rules = [ActiveRule(rule) for rule in rules]

    def rule_for(self, method: str, path: str) -> FaultRule | None:
        """Return the first rule that befalls this request; every matching rule counts it."""
        firing = [active for active in self.rules if active.fires(method, path)]
        if not firing:
            return None
        firing[0].fired += 1
        return firing[0].rule

    def requests(self, *, method: str | None = None, path: str = "") -> list[LoggedRequest]:
        """Return the remembered requests, oldest first, of a method and with a path in which `path` is found."""
        return [
            entry
            for entry in self.log
            if (method is None or entry.method == method.upper()) and re.search(path, entry.path)
        ]


class FaultMiddleware:
    """Wraps a simulator's whole app; must be the outermost layer, so that a dropped connection is really dropped."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, disturbed by the rule that befalls it."""
        if scope["type"] != "http" or _is_control(scope["path"]):
            await self._app(scope, receive, send)
            return
        started_at = self._faults.now()
        started_s = asyncio.get_running_loop().time()
        rule = self._faults.rule_for(scope["method"], scope["path"])
        answer = _Recorder()
        try:
            await self._respond(rule, answer, scope, receive, send)
        finally:
            self._faults.log.append(
                LoggedRequest(
                    method=scope["method"],
                    path=scope["path"],
                    status=answer.status,
                    time=started_at,
                    seconds=asyncio.get_running_loop().time() - started_s,
                    fault=rule.action if rule else None,
                )
            )

    async def _respond(
        self, rule: FaultRule | None, answer: _Recorder, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if rule is not None and rule.delay_s:
            # The request has arrived: it is handled after the delay, also when the caller hangs up meanwhile.
            receive = await _received(receive)
            await self._faults.sleep(rule.delay_s)
        if rule is None or rule.action == "delay":
            await self._app(scope, receive, answer.passing_on_to(send))
        elif rule.action == "status":
            await self._refusal(rule)(scope, receive, answer.passing_on_to(send))
        elif rule.action == "cut":
            await _drop(scope, receive, send)
        else:
            await self._app(scope, receive, answer.keep)
            if rule.action == "half_answer":
                await answer.send_half(send)
            await _drop(scope, receive, send, answered=rule.action == "half_answer")

    def _refusal(self, rule: FaultRule) -> JSONResponse:
        status = rule.status or 500
        headers = {} if rule.retry_after_s is None else {"Retry-After": str(rule.retry_after_s)}
        return JSONResponse(self._faults.error_body(status), status_code=status, headers=headers)


class _Recorder:
    """What the app answered: noted while it passes, or kept back."""

    def __init__(self) -> None:
        self.status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    def passing_on_to(self, send: Send) -> Send:
        """Return a `send` that notes the status on the way."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            await send(message)

        return noting

    async def keep(self, message: Message) -> None:
        """Take a part of the answer without sending it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    async def send_half(self, send: Send) -> None:
        """Send status, headers and half of the body, under a Content-Length that promises all of it."""
        promised = str(max(len(self._body), 1)).encode()
        headers = [(name, value) for name, value in self._headers if name.lower() != b"content-length"]
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [*headers, (b"content-length", promised)],
            }
        )
        await send({"type": "http.response.body", "body": self._body[: len(self._body) // 2], "more_body": True})


async def _received(receive: Receive) -> Receive:
    """Return a `receive` that gives the whole request, which is read now, and then what comes after it."""
    messages = deque([await receive()])
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())

    async def replay() -> Message:
        return messages.popleft() if messages else await receive()

    return replay


async def _drop(scope: Scope, receive: Receive, send: Send, *, answered: bool = False) -> None:
    """Close the connection.

    A server that does not lend its transport closes it by itself when an answer ends before its Content-Length.
    """
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    transport: asyncio.Transport | None = extensions.get(TRANSPORT_EXTENSION)
    if transport is not None:
        # `close` still sends what was written; `abort` also ends a TLS connection without its closing handshake.
        transport.close() if answered else transport.abort()
        # The server must have seen the end before this request ends, or it would answer 500 in our place.
        while (await receive())["type"] != "http.disconnect":
            pass
    elif not answered:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


def _is_control(path: str) -> bool:
    return path == CONTROL_PREFIX or path.startswith(f"{CONTROL_PREFIX}/")


def fault_routes(faults: Faults) -> list[Route]:
    """Return the routes `faults` and `requests`, to be mounted at `/_sandbox`."""

    async def put_faults(request: Request) -> Response:
        try:
            rules = _RULES.validate_json(await request.body())
        except ValidationError as exc:
            return _bad_request("; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in exc.errors()))
        faults.replace(rules)
        return _faults_answer(faults)

    async def get_faults(_request: Request) -> Response:
        return _faults_answer(faults)

    async def delete_faults(_request: Request) -> Response:
        faults.replace([])
        return _faults_answer(faults)

    async def get_requests(request: Request) -> Response:
        try:
            found = faults.requests(
                method=request.query_params.get("method"), path=request.query_params.get("path", "")
            )
        except re.error as exc:
            return _bad_request(f"path: must be a regular expression: {exc}")
        return JSONResponse({"count": len(found), "requests": [_entry(entry) for entry in found]})

    async def delete_requests(_request: Request) -> Response:
        faults.log.clear()
        return Response(status_code=204)

    return [
        Route("/faults", put_faults, methods=["PUT"]),
        Route("/faults", get_faults, methods=["GET"]),
        Route("/faults", delete_faults, methods=["DELETE"]),
        Route("/requests", get_requests, methods=["GET"]),
        Route("/requests", delete_requests, methods=["DELETE"]),
    ]


_RULES = TypeAdapter(list[FaultRule])


def _bad_request(message: str) -> Response:
    return JSONResponse({"error": {"code": "BadRequest", "message": message}}, status_code=400)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "body"


def _faults_answer(faults: Faults) -> Response:
    return JSONResponse(
        [
            {**active.rule.model_dump(exclude_none=True), "matched": active.matched, "fired": active.fired}
            for active in faults.rules
        ]
    )


def _entry(entry: LoggedRequest) -> dict[str, Any]:
    return {
        "method": entry.method,
        "path": entry.path,
        "status": entry.status,
        "time": entry.time.isoformat(),
        "seconds": round(entry.seconds, 4),
        "fault": entry.fault,
    }
