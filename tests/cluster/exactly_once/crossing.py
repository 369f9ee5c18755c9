"""The only ways from an operator to the world: each effect that crosses is recorded, and one of them can be struck.

An effect is a request to the provider, or a write of an SmsNumber to the API server. Reads of the API server, the Lease
and Events pass unrecorded.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from enum import Enum
from typing import NamedTuple

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ehr_api.meta import GROUP, VERSION
from ehr_sandbox.faults import CONTROL_PREFIX, TRANSPORT_EXTENSION

_OURS = f"/apis/{GROUP}/{VERSION}"
_ALL = re.compile(rf"{_OURS}/([a-z]+)")
_NUMBER = re.compile(rf"{_OURS}/namespaces/[^/]+/smsnumbers/[^/]+(/status)?")
_PASSED_ON = ("accept", "content-type", "user-agent")


class Blow(Enum):
    """What befalls one effect."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    ANSWER_LOST = "answer lost"


class Effect(NamedTuple):
    """The nth request of its form."""

    form: str
    nth: int

    def __str__(self) -> str:
        return f"{self.form} (no. {self.nth})"


class Strike(NamedTuple):
    """One effect of a run, and what befalls it."""

    effect: Effect
    blow: Blow


class Ledger:
    """The effects of one run in their order; strikes the one that it is told to."""

    def __init__(self, strike: Strike | None) -> None:
        self.effects: list[Effect] = []
        self.struck = asyncio.Event()
        self.open = False
        """Whether effects are recorded yet."""
        self.kill: Callable[[], None] = _nobody
        """Ends the operator."""
        self._strike = strike
        self._count: Counter[str] = Counter()

    def enter(self, form: str) -> Blow | None:
        """Record an effect and return what befalls it."""
        if not self.open:
            return None
        self._count[form] += 1
        effect = Effect(form, self._count[form])
        self.effects.append(effect)
        if self._strike is None or self._strike.effect != effect:
            return None
        return self._strike.blow

    def fell(self, blow: Blow) -> None:
        """Carry the blow out, as far as the process is concerned."""
        if blow is not Blow.ANSWER_LOST:
            self.kill()
        self.struck.set()


class Crossing:
    """Wraps an app: the effects among its requests pass by the ledger."""

    def __init__(self, inner: ASGIApp, form_of: Callable[[str, str], str | None], ledger: Ledger) -> None:
        self._inner = inner
        self._form_of = form_of
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = self._form_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        blow = self._ledger.enter(form) if form else None
        if blow is None:
            await self._inner(scope, receive, send)
            return
        if blow is not Blow.KILLED_BEFORE:
            await self._inner(scope, receive, _nowhere)
        self._ledger.fell(blow)
        transport: asyncio.Transport = scope["extensions"][TRANSPORT_EXTENSION]
        transport.abort()
        # The server must have seen the end before this request ends, or it would answer 500 in our place.
        while (await receive())["type"] != "http.disconnect":
            pass


def _nobody() -> None:
    """Nobody is there yet."""


async def _nowhere(_message: Message) -> None:
    """The answer gets lost."""


def provider_form(method: str, path: str) -> str | None:
    """Return the form of a request to the provider, without the parts that differ from run to run."""
    if path.startswith(CONTROL_PREFIX):
        return None
    path = re.sub(r"/reservations/[^/]+", "/reservations/ID", path)
    path = re.sub(r"/operations/[^/]+", "/operations/ID", path)
    return f"provider: {method} {re.sub(r'/[+][0-9]+', '/NUMBER', path)}"


def cluster_form(method: str, path: str) -> str | None:
    """Return the form of a write to an SmsNumber; None for everything else."""
    match = _NUMBER.fullmatch(path)
    return None if match is None or method == "GET" else f"cluster: {method} smsnumber{match[1] or ''}"


class OneNamespace:
    """The API server as an operator sees it that can see one namespace of our kinds: several work side by side."""

    def __init__(self, api: httpx.AsyncClient, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "no lifespan"
        request = Request(scope, receive)
        path = _ALL.sub(rf"{_OURS}/namespaces/{self._namespace}/\1", request.url.path, count=1)
        if not _ALL.fullmatch(request.url.path):
            path = request.url.path
        forwarded = self._api.build_request(
            request.method,
            path,
            params=request.url.query.encode(),
            content=await request.body(),
            headers={name: request.headers[name] for name in _PASSED_ON if name in request.headers},
        )
        await (await self._answer(forwarded))(scope, receive, send)

    async def _answer(self, request: httpx.Request) -> Response:
        try:
            answer = await self._api.send(request, stream=True)
        except httpx.TransportError:
            return Response(status_code=503)
        headers = {"content-type": answer.headers.get("content-type", "application/json")}
        if "watch=true" not in str(request.url):
            try:
                return Response(await answer.aread(), answer.status_code, headers)
            finally:
                await answer.aclose()
        return StreamingResponse(_chunks(answer), answer.status_code, headers)


async def _chunks(answer: httpx.Response) -> AsyncGenerator[bytes]:
    try:
        async for chunk in answer.aiter_bytes():
            yield chunk
    finally:
        await answer.aclose()
