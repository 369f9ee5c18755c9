"""Electors on a Lease in memory. Each request can be halted before it is carried out and before its answer arrives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ehr_operator.runtime.kube import ApiUnavailableError, KubeError
from ehr_operator.runtime.lease import (
    Elector,
    Identity,
)
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, ConflictError


class _Halt:
    """Awaited where a process may be suspended."""

    def __await__(self) -> Any:
        yield


@dataclass
class Server:
    """Holds one Lease; requests halt on both ways if `halting`."""

    body: dict[str, Any] | None = None
    version: int = 0
    halting: bool = False
    failure: KubeError | None = None
    lose_answer: bool = False
    requests: list[str] = field(default_factory=list[str])

    async def read_lease(self, namespace: str, name: str, *, timeout_s: float) -> Body | None:
        return await self._do("read", lambda: self.body)

    async def create_lease(self, body: Body, *, timeout_s: float) -> Body:
        def create() -> Body:
            if self.body is not None:
                raise ConflictError("exists")
            return self._store(body)

        return await self._do("create", create)

    async def replace_lease(self, body: Body, *, timeout_s: float) -> Body:
        def replace() -> Body:
            if self.body is None or body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
                raise ConflictError("changed")
            return self._store(body)

        return await self._do("replace", replace)

    async def _do(self, what: str, carry_out: Callable[[], Any]) -> Any:
        self.requests.append(what)
        if self.halting:
            await _Halt()
        if self.failure is not None:
            raise self.failure
        answer = carry_out()
        if self.halting:
            await _Halt()
        if self.lose_answer:
            raise ApiUnavailableError("the answer was lost")
        return answer

    def _store(self, body: Body) -> Body:
        self.version += 1
        self.body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.body


class Clock:
    """The time of the test; each process sees its own."""

    now_s = 0.0


def elector(server: Server, clock: Clock, name: str, metrics: Metrics | None = None, ahead_s: float = 0.0) -> Elector:
    """An elector whose monotonic clock and wall clock are off by `ahead_s`."""
    return Elector(
        server,
        "ehr-system",
        "ehr-operator",
        Identity.of(name),
        metrics or Metrics(),
        lambda: datetime.fromtimestamp(1_800_000_000 + clock.now_s - 1000 * ahead_s, UTC),
        monotonic=lambda: clock.now_s + ahead_s,
        jitter=lambda: 0.5,
    )
