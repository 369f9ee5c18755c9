"""Passes over phone numbers against the simulator of Communication Services, cut or disturbed at any of their moments.

A moment is the start or the end of a call to the provider or of a write of intent: the places where a process can die
with a different world behind it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import httpx
from starlette.applications import Starlette
from unit.operator.conftest import ACS_URL, ApiServer, Clock, config_body, number_body

from ehr_api.meta import KindStatus
from ehr_api.v1alpha1.sms_number import SmsNumberStatus
from ehr_clients.acs_auth import EntraTokenAuth
from ehr_clients.http import client
from ehr_operator.remotes import HttpRemotes
from ehr_operator.runtime.model import ConflictError, Finalized, Key, Object, Outcome, State
from ehr_operator.sms_number.budget import Budget
from ehr_operator.sms_number.plan import reservation_id
from ehr_operator.sms_number.reconcile import SmsNumberKind
from ehr_operator.sms_number_refusals import Refusals
from ehr_sandbox.acs.app import create_app
from ehr_sandbox.acs.settings import AcsSettings, Behaviour


class Killed(BaseException):
    """The process died: no handler of ours may catch it."""


class Blow(Enum):
    """What befalls one moment."""

    DIE_BEFORE = auto()
    DIE_AFTER = auto()
    LOSE_ANSWER = auto()
    """Carried out, but no answer comes; a write of intent is lost to a conflict."""
    FAIL_AFTER = auto()
    """Carried out, but answered with 500; a write of intent is lost to a conflict."""
    NO_CONNECTION = auto()
    """Not carried out, no answer."""
    BUSY = auto()
    """Not carried out, 429 with Retry-After."""
    UNAVAILABLE = auto()
    """Not carried out, 503."""


@dataclass
class Fate:
    """Which of the coming moments is struck, and by what; counting starts at 1."""

    blows: dict[int, Blow] = field(default_factory=dict[int, Blow])
    moments: int = 0
    struck: int = 0
    meanwhile: dict[str, Callable[[], Awaitable[object]]] = field(
        default_factory=dict[str, Callable[[], Awaitable[object]]]
    )
    """By a part of the path: what happens, once, right after the next answer to such a request."""
    strange: str | None = None
    """Requests with this in their path are answered by a web page, and not carried out."""
    instead: dict[str, Any] = field(default_factory=dict[str, Any])
    """By a whole path: what requests to it are answered with, and not carried out."""

    async def answered(self, path: str) -> None:
        """Let happen what is to happen after an answer."""
        for part in [part for part in self.meanwhile if part in path]:
            await self.meanwhile.pop(part)()

    def next(self) -> Blow | None:
        self.moments += 1
        blow = self.blows.get(self.moments)
        self.struck += blow is not None
        return blow


class _Unread(httpx.AsyncByteStream):
    """A body that is still to be read, as one from the network is."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def _refusal(status: int, code: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    body = json.dumps({"error": {"code": code, "message": "struck"}}).encode()
    return httpx.Response(status, headers=headers, stream=_Unread(body))


class FatefulTransport(httpx.AsyncBaseTransport):
    """The way to the simulator, disturbed by fate."""

    def __init__(self, app: Starlette, fate: Fate) -> None:
        self._inner = httpx.ASGITransport(app=app)
        self._fate = fate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        blow = self._fate.next()
        match blow:
            case Blow.DIE_BEFORE:
                raise Killed
            case Blow.NO_CONNECTION:
                raise httpx.ConnectError("struck", request=request)
            case Blow.BUSY:
                return _refusal(429, "TooManyRequests", {"Retry-After": "30"})
            case Blow.UNAVAILABLE:
                return _refusal(503, "ServiceUnavailable")
            case None if self._fate.strange is not None and self._fate.strange in request.url.path:
                return httpx.Response(200, stream=_Unread(b"<html>"))
            case None if request.url.path in self._fate.instead:
                return httpx.Response(200, stream=_Unread(json.dumps(self._fate.instead[request.url.path]).encode()))
            case _:
                response = await self._inner.handle_async_request(request)
                await self._fate.answered(request.url.path)
        match blow:
            case Blow.DIE_AFTER:
                raise Killed
            case Blow.LOSE_ANSWER:
                raise httpx.ReadError("struck", request=request)
            case Blow.FAIL_AFTER:
                return _refusal(500, "InternalServerError")
            case _:
                return response


@dataclass
class FatefulApi(ApiServer):
    """An API server whose writes of intent are moments too."""

    fate: Fate = field(default_factory=Fate)

    async def write_intent(self, obj: Object[Any, Any], status: KindStatus) -> Object[Any, Any]:
        blow = self.fate.next()
        if blow is Blow.DIE_BEFORE:
            raise Killed
        if blow is not None and blow is not Blow.DIE_AFTER:
            raise ConflictError("struck")
        written = await super().write_intent(obj, status)
        if blow is Blow.DIE_AFTER:
            raise Killed
        return written


@dataclass
class World:
    """A cluster with one organisation, a Communication Services resource, and the operator between them."""

    clock: Clock = field(default_factory=Clock)
    fate: Fate = field(default_factory=Fate)
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    behaviour: dict[str, Any] = field(default_factory=dict[str, Any])
    purchasing_enabled: bool = True
    budget: Budget = field(default_factory=Budget)
    leads: bool = True

    def __post_init__(self) -> None:
        behaviour = Behaviour.model_validate({"operation_seconds": 0, "purchase_quota": 1000, **self.behaviour})
        self.acs = create_app(AcsSettings(accept_any_bearer=True, behaviour=behaviour, now=self.clock, **self.settings))
        self.api = FatefulApi(fate=self.fate)
        self.api.put(config_body())
        self._http = client(transport=FatefulTransport(self.acs, self.fate), auth=EntraTokenAuth(_token))
        self._control = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.acs), base_url=ACS_URL)
        self.restart()

    async def aclose(self) -> None:
        await self._http.aclose()
        await self._control.aclose()

    def restart(self) -> None:
        """Start the operator anew: its memory is gone, its cache is listed."""
        self.api.relist()
        self.refusals = Refusals()
        self.kind = SmsNumberKind(
            self.api,
            self.api.cache,
            self.clock,
            HttpRemotes(trusted_urls=(ACS_URL,), control_http=self._http, communication_http=self._http),
            self.refusals,
            purchasing_enabled=self.purchasing_enabled,
            budget=self.budget,
            jitter=lambda pause: pause,
            may_spend=self._may_spend,
        )

    def _may_spend(self) -> None:
        if not self.leads:
            raise ConflictError("another process may lead")

    def add(self, name: str = "lamna-sms", **parts: Any) -> Key:
        """Apply an SmsNumber and return its key."""
        return self.api.put(number_body(name, **parts))

    async def reconcile(self, key: Key, *blows: tuple[int, Blow], seen: bool = True) -> Outcome[Any] | None:
        """Make one pass and write its outcome; return None when the pass was cut, after the restart that follows."""
        self.fate.blows = dict(blows)
        self.fate.moments = 0
        try:
            outcome = await self.kind.reconcile(self.api.object(self.kind, key))
        except Killed:
            self.restart()
            return None
        except ConflictError:
            self.api.show(key)
            return None
        finally:
            self.fate.blows = {}
        if self.fate.next() is None:
            self.api.settle(key, outcome, seen=seen)
        return outcome

    async def finalize(self, key: Key) -> Outcome[Any] | Finalized:
        """Make one pass of the deletion; a finalized object is gone."""
        self.api.change(key, {"metadata": {"deletionTimestamp": "2026-03-02T09:00:00Z"}})
        outcome = await self.kind.finalize(self.api.object(self.kind, key))
        if isinstance(outcome, Finalized):
            self.api.remove(key)
        else:
            self.api.settle(key, outcome)
        return outcome

    async def until(self, key: Key, done: Callable[[Outcome[Any]], bool], *, passes: int = 200) -> Outcome[Any]:
        """Make passes, waiting as each of them asks, until `done`."""
        outcome: Outcome[Any] | None = None
        for _ in range(passes):
            outcome = await self.reconcile(key)
            if outcome is not None and done(outcome):
                return outcome
            self.clock.advance((outcome.requeue_after_s if outcome else None) or 60.0)
        raise AssertionError(f"not done after {passes} passes: {outcome and outcome.reason}")

    async def until_held(self, key: Key) -> str:
        """Make passes until the number is held, and return it."""
        outcome = await self.until(key, lambda one: one.state is State.READY)
        return outcome.status.phone_number

    async def ends_with_one(self, key: Key, *context: object) -> None:
        """Let all faults end; then exactly one number is bought, for this object, and held by it."""
        held = await self.until_held(key)
        bought = await self.bought_for(key)
        assert bought == [held], context
        assert len(await self.purchases()) == 1, context

    def status(self, key: Key) -> SmsNumberStatus:
        """Return the status as the API server holds it."""
        return SmsNumberStatus.model_validate(self.api.bodies[key]["status"])

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Use a control of the simulator."""
        answer = await self._control.request(method, f"/_sandbox/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def purchases(self) -> list[dict[str, Any]]:
        """Return what was really bought."""
        return (await self.control("GET", "ledger"))["purchases"]

    async def bought_for(self, key: Key) -> list[str]:
        """Return the numbers that were really bought for one object, under whatever attempt."""
        uid = self.api.bodies[key]["metadata"]["uid"]
        ids = {reservation_id(uid, attempt) for attempt in range(1, 200)}
        return [entry["phoneNumber"] for entry in await self.purchases() if entry["id"] in ids]

    async def requests(self, method: str, path: str) -> int:
        """Return how many such requests came to the provider."""
        found = (await self._control.get("/_sandbox/requests", params={"method": method, "path": path})).json()
        return found["count"]


async def _token() -> str:
    return "token-of-the-operator"
