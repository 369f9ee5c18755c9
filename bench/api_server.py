"""The API server as the load generator uses it: writes at a rate, a watch that notes when each object was looked at."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

WRITERS = 16
ROOT = "/apis/ehrconnector.io/v1alpha1/namespaces"
_COUNTED = re.compile(r"apiserver_request_total\{(.*)\} (\S+)")
_GROUPS = ('group="ehrconnector.io"', 'group="events.k8s.io"')
_READS = ('verb="GET"', 'verb="LIST"', 'verb="WATCH"')

Body = dict[str, Any]
Reached = Callable[[Body], bool]
"""Whether an object is where a scenario wants it."""


def is_looked_at(body: Body) -> bool:
    """Return whether the object's newest generation was looked at."""
    return body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]


def is_ready(body: Body) -> bool:
    """Return whether the object's newest generation is Ready."""
    conditions = body.get("status", {}).get("conditions", [])
    return is_looked_at(body) and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@dataclass
class Watch:
    """When each object was last seen where it is wanted."""

    reached: Reached
    version: str
    """The resource version from which to watch."""
    at_s: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    """By name: the generation, and the monotonic time."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def see(self, event: Body) -> None:
        """Take in one event."""
        body = event["object"]
        if event["type"] in {"ADDED", "MODIFIED"} and self.reached(body):
            generation = body["metadata"]["generation"]
            known = self.at_s.get(body["metadata"]["name"])
            if known is None or known[0] < generation:
                self.at_s[body["metadata"]["name"]] = (generation, time.monotonic())
                self.changed.set()

    async def until(self, names: Iterable[str], generation: int, limit_s: float) -> float:
        """Wait until all these objects are there; return when the last one was.

        Raises:
            TimeoutError: They are not, after `limit_s`.
        """
        missing = set(names)
        wanted = frozenset(missing)
        async with asyncio.timeout(limit_s):
            while missing:
                self.changed.clear()
                missing = {name for name in missing if self.at_s.get(name, (0, 0.0))[0] < generation}
                if missing:
                    await self.changed.wait()
                    await asyncio.sleep(0.02)  # many come at once, and each look costs
        return max(self.at_s[name][1] for name in wanted)


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Calls of the load generator."""

    http: httpx.AsyncClient

    async def writes(self) -> float:
        """Return how many writes of our kinds and of Events the API server has taken, the load generator's included."""
        text = (await self.http.get("/metrics")).text
        found = (_COUNTED.match(line) for line in text.splitlines())
        return sum(
            float(match[2])
            for match in found
            if match and any(group in match[1] for group in _GROUPS) and not any(read in match[1] for read in _READS)
        )

    async def write(self, method: str, path: str, body: Body) -> float:
        """Send one write; return when it was acknowledged."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        content = json.dumps(body)
        answer = await self.http.request(
            method, f"{ROOT}/{path}", content=content, headers={"Content-Type": f"application/{kind}"}
        )
        answer.raise_for_status()
        return time.monotonic()

    async def at_once(self, writes: list[tuple[str, str, Body]]) -> None:
        """Send writes as fast as a few writers can."""
        gate = asyncio.Semaphore(WRITERS)

        async def one(method: str, path: str, body: Body) -> None:
            async with gate:
                await self.write(method, path, body)

        await asyncio.gather(*(one(*write) for write in writes))

    async def at_rate(self, writes: list[tuple[str, str, Body]], per_second: float) -> list[float]:
        """Send writes at fixed moments, however long the answers take; return when each was acknowledged."""
        began_s = time.monotonic()

        async def one(number: int, write: tuple[str, str, Body]) -> float:
            await asyncio.sleep(max(0.0, began_s + number / per_second - time.monotonic()))
            return await self.write(*write)

        return await asyncio.gather(*(one(number, write) for number, write in enumerate(writes)))

    @asynccontextmanager
    async def watching(self, namespace: str, reached: Reached) -> AsyncGenerator[Watch]:
        """Watch the endpoints of a namespace during the block."""
        path = f"{ROOT}/{namespace}/fhirendpoints"
        start = (await self.http.get(path, params={"limit": 1})).json()["metadata"]["resourceVersion"]
        watch = Watch(reached, start)
        task = asyncio.create_task(self._watch(path, watch))
        try:
            yield watch
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self, path: str, watch: Watch) -> None:
        while True:
            query = {"watch": "1", "resourceVersion": watch.version, "timeoutSeconds": "3000"}
            async with self.http.stream("GET", path, params=query, timeout=None) as answer:
                async for line in answer.aiter_lines():
                    event = json.loads(line)
                    watch.version = event["object"]["metadata"]["resourceVersion"]
                    watch.see(event)
