"""Carries notifications to who subscribed: in order as a rule, again until they are taken, and badly on request."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

from ehr_sandbox.graph.notify.subscription import Subscription
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.times import wire_time

_CONNECTION_TIMEOUT_S = 30.0
_LAST_ANSWERS_S = 1.0
"""What is under way when the app stops gets that long."""

_REMEMBERED = 20_000
"""Notifications whose fate is kept, as many as requests are."""


@dataclass
class Attempt:
    """One try to deliver."""

    time: datetime
    seconds: float
    status: int | None
    """None when there was no answer in time."""


@dataclass
class Delivery:
    """One notification on its way."""

    subscription: Subscription
    event: str
    url: str
    body: Callable[[], dict[str, Any]]
    """Made anew for each attempt: the tokens in it are short-lived."""
    state: str = "pending"
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    id: str = field(default_factory=lambda: str(uuid4()))

    def truth(self) -> dict[str, Any]:
        """Return what became of it."""
        return {
            "id": self.id,
            "subscriptionId": self.subscription.id,
            "event": self.event,
            "state": self.state,
            "attempts": [
                {"time": wire_time(one.time), "seconds": round(one.seconds, 4), "status": one.status}
                for one in self.attempts
            ],
        }


class Courier:
    """Delivers, while its app runs."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._trust = ssl.create_default_context(cafile=platform.settings.ca_file)
        self._tasks: set[asyncio.Task[None]] = set()
        self._posts: set[asyncio.Task[httpx.Response]] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: list[Delivery] = []
        self.deliveries: deque[Delivery] = deque(maxlen=_REMEMBERED)
        self._http: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Deliver while the context is open; what is still under way at its end is given up."""
        async with httpx.AsyncClient(
            verify=self._trust, trust_env=False, follow_redirects=False, timeout=_CONNECTION_TIMEOUT_S
        ) as http:
            self._http = http
            try:
                yield
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                if self._posts:
                    await asyncio.wait(self._posts, timeout=_LAST_ANSWERS_S)
                for post in self._posts:
                    post.cancel()
                await asyncio.gather(*self._posts, return_exceptions=True)

    async def post(self, url: str, within_s: float, **request: Any) -> httpx.Response:
        """Post something to the outside.

        An answer that comes too late is left to come: a connection that is cancelled in its TLS handshake stays open.

        Raises:
            TimeoutError: No answer within the time.
            httpx.HTTPError: No answer at all.
        """
        if self._http is None:
            raise RuntimeError("the app is not running")
        post = asyncio.create_task(self._http.post(url, **request))
        self._posts.add(post)
        post.add_done_callback(self._forget)
        done, _ = await asyncio.wait({post}, timeout=within_s)
        if not done:
            raise TimeoutError
        return post.result()

    def _forget(self, post: asyncio.Task[httpx.Response]) -> None:
        self._posts.discard(post)
        if not post.cancelled():
            # Nobody may be left to look at it.
            post.exception()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the request, as long as the app runs."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send(self, delivery: Delivery) -> None:
        """Take a notification over, to deliver it or to spoil it as the behaviour says."""
        self.deliveries.append(delivery)
        if delivery.subscription.paused:
            delivery.state = "withheld"
        elif self._spend("drop"):
            delivery.state = "dropped"
        elif self._spend("reorder"):
            delivery.state = "held"
            self._held.append(delivery)
            if self._platform.behaviour.reorder == 0:
                self.release()
        else:
            self._start(delivery)

    def release(self) -> None:
        """Send what is held back, last one first."""
        held, self._held = self._held, []
        for delivery in reversed(held):
            self._start(delivery)

    def _start(self, delivery: Delivery) -> None:
        delivery.state = "pending"
        for _ in range(2 if self._spend("duplicate") else 1):
            self.later(self._deliver(delivery))

    def _spend(self, name: str) -> bool:
        left: int = getattr(self._platform.behaviour, name)
        if left:
            self._platform.behaviour = self._platform.behaviour.model_copy(update={name: left - 1})
        return left > 0

    async def _deliver(self, delivery: Delivery) -> None:
        behaviour = self._platform.behaviour
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        async with self._turns[delivery.subscription.id]:
            taken = await self._try(delivery)
        # One that was not taken lets the later ones pass.
        began_s = asyncio.get_running_loop().time()
        failures = 0
        while not taken:
            pauses = self._platform.behaviour.resend_after_s
            await asyncio.sleep(pauses[min(failures, len(pauses) - 1)])
            failures += 1
            if asyncio.get_running_loop().time() - began_s > self._platform.behaviour.give_up_after_s:
                delivery.state = "given up"
                return
            taken = await self._try(delivery)
        delivery.state = "delivered"

    async def _try(self, delivery: Delivery) -> bool:
        started, started_s = self._platform.now(), asyncio.get_running_loop().time()
        status = None
        try:
            within_s = self._platform.behaviour.answer_within_s
            status = (await self.post(delivery.url, within_s, json=delivery.body())).status_code
        except (TimeoutError, httpx.HTTPError):
            pass
        delivery.attempts.append(Attempt(started, asyncio.get_running_loop().time() - started_s, status))
        return status is not None and httpx.codes.is_success(status)
