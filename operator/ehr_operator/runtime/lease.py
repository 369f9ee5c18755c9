"""Leader election over a Lease: of several operators one acts, and the others stand by.

What keeps two from acting at once:

- The leader counts from the moment at which it *sent* the last renewal that was accepted, and stops acting
  `RENEW_DEADLINE_S` later; a follower counts from the moment at which it *saw* the Lease change, which is later, and
  waits `LEASE_S`. Each counts on its own monotonic clock, so wall clocks may differ or jump.
- Every write names the resource version that was read: of two writers one is refused.
- A process that was suspended finds the deadline passed when it asks, before each write and each call that spends.

A request that is on its way when the process is suspended can still arrive late. Calls that spend are therefore also made
under an id that the intent in status names: the provider carries each out once, whoever sends it.

A process may take over at once from a predecessor with its own identity. That is safe only where one process at a time
has that identity: a pod's name is unique, and the kubelet starts a container again only after the old one is gone. An
annotation holds a name of the process itself; a leader that finds another one's there was configured with somebody
else's identity, and steps down.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from ehr_api.meta import GROUP
from ehr_operator.runtime.kube import ApiUnavailableError, KubeError
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, Clock, ConflictError

_log = logging.getLogger(__name__)

LEASE_S = 11.0
"""A follower takes over when it saw no sign of life for this long."""
RENEW_DEADLINE_S = 7.0
"""A leader that could not renew for this long ends. The difference is what clocks may drift and a request may take."""
RETRY_S = 1.5
"""Pause between two looks, or two renewals."""
REQUEST_S = 2.0
"""No request for the Lease takes longer, so that two can fail before the deadline."""
LONGEST_PAUSE = 1.2
"""The longest pause between two looks, as a multiple of `RETRY_S`: jitter keeps followers from asking all at once."""
TAKE_OVER_S = LEASE_S + LONGEST_PAUSE * RETRY_S
"""A dead leader's follower acts after this long at the latest: it saw the last renewal one pause late."""
PROCESS = f"{GROUP}/process"
"""The annotation that tells one process from the next with the same identity."""


class NotLeaderError(ConflictError):
    """The lease is not held, or not for long enough: another process may be at this work."""


class LeaseLostError(Exception):
    """Another process may lead from now on: this one must end."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who holds the Lease: a name that outlives the process, and one that does not."""

    name: str
    process: str

    @classmethod
    def of(cls, name: str) -> Identity:
        """Return the identity of this process under a name."""
        return cls(name, uuid4().hex)


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says. As long as none of it changes, its holder gave no sign of life."""

    holder: str
    """Empty after a release."""
    process: str
    renewed: str
    transitions: int
    lease_s: float

    @classmethod
    def of(cls, body: Body) -> Record:
        """Return what the body of a Lease says; each of its fields may be missing."""
        spec: Mapping[str, Any] = body.get("spec", {})
        annotations: Mapping[str, str] = body["metadata"].get("annotations", {})
        return cls(
            holder=spec.get("holderIdentity") or "",
            process=annotations.get(PROCESS, ""),
            renewed=spec.get("renewTime") or "",
            transitions=spec.get("leaseTransitions") or 0,
            lease_s=float(spec.get("leaseDurationSeconds") or 0),
        )


@dataclass(frozen=True, slots=True)
class Acquire:
    """Take the Lease."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Give a sign of life."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else leads; look again within this time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StepDown:
    """Somebody else leads or may lead from now on."""

    why: str


Decision = Acquire | Renew | Wait | StepDown


def decide(
    record: Record | None, me: Identity, *, now_s: float, unchanged_since_s: float | None, renewed_at_s: float | None
) -> Decision:
    """Return what to do about a Lease as it was seen. Times are the process's own monotonic seconds.

    Args:
        record: What the Lease says; None when there is none.
        me: Who decides.
        now_s: The time.
        unchanged_since_s: Since when the Lease was seen as it is; None when there never was one.
        renewed_at_s: When the last renewal that was accepted was sent; None while not leading.
    """
    if renewed_at_s is not None:
        if now_s - renewed_at_s >= RENEW_DEADLINE_S:
            return StepDown(f"the lease was not renewed for {RENEW_DEADLINE_S:g} s")
        if record is None:
            return StepDown("the Lease was deleted")
        if (record.holder, record.process) != (me.name, me.process):
            return StepDown(f"'{record.holder}' took the lease")
        return Renew()
    if record is None and unchanged_since_s is None:
        return Acquire()
    if record is not None and record.holder in {"", me.name}:
        return Acquire()
    # A Lease that was deleted had a holder, who may still act; it is waited for as if it had died.
    patience_s = max(LEASE_S, record.lease_s if record is not None else 0.0)
    left_s = patience_s - (now_s - (now_s if unchanged_since_s is None else unchanged_since_s))
    return Wait(left_s) if left_s > 0 else Acquire()


class Leases(Protocol):
    """What the elector needs of the API server; each raises KubeError or ConflictError."""

    async def read_lease(self, namespace: str, name: str, *, timeout_s: float) -> Body | None:
        """Return the Lease, or None."""
        ...

    async def create_lease(self, body: Body, *, timeout_s: float) -> Body:
        """Create the Lease; a conflict when it exists."""
        ...

    async def replace_lease(self, body: Body, *, timeout_s: float) -> Body:
        """Replace the Lease of just this resource version; a conflict when it has another."""
        ...


def elapsed_s() -> float:
    """Return monotonic seconds; on Linux, those during which the machine was suspended are counted too."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Elector:
    """Competes for one Lease."""

    def __init__(
        self,
        leases: Leases,
        namespace: str,
        name: str,
        me: Identity,
        metrics: Metrics,
        clock: Clock,
        *,
        monotonic: Callable[[], float] = elapsed_s,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._leases = leases
        self._namespace = namespace
        self._name = name
        self._me = me
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._status = metrics.leading.labels(name)
        self._status.set(0)
        self._body: Body | None = None
        self._fresh = False
        """Whether `_body` is the answer to our own last renewal, so that the next one need not read first."""
        self._seen: tuple[Record | None, float | None] = (None, None)
        """What the Lease said, and since when it was seen to say so."""
        self._renewed_at_s: float | None = None
        self._lost: str | None = None
        self.tried = asyncio.Event()
        """The first attempt is over, whatever came of it."""
        self.elected = asyncio.Event()
        self.elected_at_s: float | None = None
        self.obstacle: str | None = None
        """What keeps the Lease from being used at all, such as a missing right."""

    def holds(self, margin_s: float = 0.0) -> bool:
        """Return whether this process leads now, and no other one can for `margin_s` from now."""
        if self._renewed_at_s is None or self._lost is not None:
            return False
        age_s = self._monotonic() - self._renewed_at_s
        return age_s < RENEW_DEADLINE_S and age_s + margin_s < LEASE_S

    def assert_leader(self, margin_s: float = 0.0) -> None:
        """Return when `holds` does.

        Raises:
            NotLeaderError: It does not.
        """
        if not self.holds(margin_s):
            raise NotLeaderError(self._lost or f"the lease is not held for {margin_s:g} s more")

    async def run(self) -> None:
        """Compete, and when elected renew.

        Raises:
            LeaseLostError: It led, and may lead no more.
        """
        while True:
            pause_s = await self.attempt()
            self.tried.set()
            await asyncio.sleep(pause_s)

    async def attempt(self) -> float:
        """Look, decide and act once; return the pause until the next time.

        Raises:
            LeaseLostError: It led, and may lead no more.
        """
        pause_s = RETRY_S * (LONGEST_PAUSE - 0.4 * self._jitter())
        try:
            self._step_down_if_late()
            if not self._fresh:
                await self._look()
            decision = self._decide()
            if isinstance(decision, StepDown):
                self._lose(decision.why)
            if isinstance(decision, Wait):
                pause_s = min(pause_s, decision.seconds)
            else:
                await self._write(acquire=isinstance(decision, Acquire))
            self.obstacle = None
        except ConflictError as exc:
            self._fresh = False
            _log.info("another process wrote the Lease: %s", exc)
        except KubeError as exc:
            self._fresh = False
            self.obstacle = None if isinstance(exc, ApiUnavailableError) else f"{exc}; may the operator use the Lease?"
            _log.warning("the Lease cannot be used: %s", exc)
        self._step_down_if_late()
        return pause_s if self._renewed_at_s is None else min(pause_s, max(0.0, self._left_s()))

    async def release(self) -> None:
        """Let another process take over at once. Nothing may be under way any more."""
        held, self._renewed_at_s = self._renewed_at_s is not None and self._lost is None, None
        self._status.set(0)
        if not held:
            return
        try:
            body = self._body if self._fresh else await self._read()
            record = Record.of(body) if body is not None else None
            if body is None or record is None or (record.holder, record.process) != (self._me.name, self._me.process):
                return
            spec = {**body["spec"], "holderIdentity": "", "renewTime": _micro(self._clock()), "leaseDurationSeconds": 1}
            await self._leases.replace_lease({**body, "spec": spec}, timeout_s=REQUEST_S)
        except (KubeError, ConflictError) as exc:
            _log.info("the lease was not released, so the next leader waits for its end: %s", exc)
        else:
            _log.info("the lease was released")

    def _decide(self) -> Decision:
        record, since_s = self._seen
        return decide(
            record,
            self._me,
            now_s=self._monotonic(),
            unchanged_since_s=since_s,
            renewed_at_s=self._renewed_at_s,
        )

    async def _look(self) -> None:
        self._take_in(await self._read())

    async def _read(self) -> Body | None:
        return await self._leases.read_lease(self._namespace, self._name, timeout_s=self._timeout_s())

    def _take_in(self, body: Body | None) -> None:
        """Note what the Lease says, and since when: the moment of the answer, which is never before the write."""
        self._body = body
        before, _ = self._seen
        record = None if body is None else Record.of(body)
        if record != before:
            self._seen = (record, self._monotonic())

    async def _write(self, *, acquire: bool) -> None:
        sent_at_s = self._monotonic()
        document = self._document(acquire=acquire)
        write = self._leases.create_lease if self._body is None else self._leases.replace_lease
        self._fresh = False  # until the answer is there, also when this is cancelled
        body = await write(document, timeout_s=self._timeout_s())
        self._take_in(body)
        self._fresh = True
        self._renewed_at_s = sent_at_s
        if acquire:
            self.elected_at_s = self._monotonic()
            self._status.set(1)
            self.elected.set()
            _log.info("elected as '%s'", self._me.name)

    def _document(self, *, acquire: bool) -> Body:
        """Return the Lease as it is to be, with the resource version that was read."""
        now = _micro(self._clock())
        body: Mapping[str, Any] = self._body or {"metadata": {"name": self._name, "namespace": self._namespace}}
        metadata = body["metadata"]
        spec: dict[str, Any] = dict(body.get("spec", {}))
        if acquire:
            changed = self._body is not None and spec.get("holderIdentity") != self._me.name
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + (1 if changed else 0)
            spec["acquireTime"] = now
        spec |= {"holderIdentity": self._me.name, "leaseDurationSeconds": int(LEASE_S), "renewTime": now}
        annotations = {**metadata.get("annotations", {}), PROCESS: self._me.process}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, "annotations": annotations},
            "spec": spec,
        }

    def _left_s(self) -> float:
        """Return the seconds until the renew deadline."""
        if self._renewed_at_s is None:
            return RENEW_DEADLINE_S
        return self._renewed_at_s + RENEW_DEADLINE_S - self._monotonic()

    def _timeout_s(self) -> float:
        return max(0.1, min(REQUEST_S, self._left_s()))

    def _step_down_if_late(self) -> None:
        if self._renewed_at_s is not None and self._left_s() <= 0:
            self._lose(f"the lease was not renewed for {RENEW_DEADLINE_S:g} s")

    def _lose(self, why: str) -> None:
        self._lost = why
        self._status.set(0)
        raise LeaseLostError(why)


def _micro(moment: datetime) -> str:
    """Return a moment as Kubernetes' MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
