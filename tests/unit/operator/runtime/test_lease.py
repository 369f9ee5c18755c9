"""Leader election: what is decided, and that two never lead at once, whatever is delayed, lost or suspended."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehr_clients.limits import SPENDING_TIMEOUT_S
from ehr_operator.runtime.kube import ApiUnavailableError, ForbiddenError, KubeError
from ehr_operator.runtime.lease import (
    LEASE_S,
    LONGEST_PAUSE,
    RENEW_DEADLINE_S,
    REQUEST_S,
    RETRY_S,
    TAKE_OVER_S,
    Acquire,
    Decision,
    Elector,
    Identity,
    LeaseLostError,
    NotLeaderError,
    Record,
    Renew,
    StepDown,
    Wait,
    decide,
)
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, ConflictError

ME = Identity("pod-a", "1")
MINE = Record("pod-a", "1", "t", 0, LEASE_S)
PREDECESSORS = Record("pod-a", "0", "t", 0, LEASE_S)
ANOTHERS = Record("pod-b", "2", "t", 0, LEASE_S)
RELEASED = Record("", "2", "t", 1, 1.0)
LONGER = Record("pod-b", "2", "t", 0, 60.0)


@pytest.mark.parametrize(
    ("record", "unchanged_s", "renewed_s_ago", "decision"),
    [
        pytest.param(None, None, None, Acquire(), id="there never was a Lease"),
        pytest.param(None, 1.0, None, Wait(LEASE_S - 1.0), id="the Lease was deleted, its holder may still act"),
        pytest.param(None, LEASE_S, None, Acquire(), id="the Lease was deleted long ago"),
        pytest.param(RELEASED, 0.0, None, Acquire(), id="the last leader released it"),
        pytest.param(PREDECESSORS, 0.0, None, Acquire(), id="the last process of this pod held it"),
        pytest.param(MINE, 0.0, None, Acquire(), id="the answer to our own acquisition was lost"),
        pytest.param(ANOTHERS, 0.0, None, Wait(LEASE_S), id="another one's, just seen"),
        pytest.param(ANOTHERS, LEASE_S - 0.5, None, Wait(0.5), id="another one's, nearly silent enough"),
        pytest.param(ANOTHERS, LEASE_S, None, Acquire(), id="another one's, silent"),
        pytest.param(LONGER, 15.0, None, Wait(45.0), id="another one's, who asked for longer"),
        pytest.param(MINE, 3.0, 3.0, Renew(), id="ours"),
        pytest.param(MINE, RENEW_DEADLINE_S - 0.1, RENEW_DEADLINE_S - 0.1, Renew(), id="ours, nearly too late"),
        pytest.param(MINE, 0.0, RENEW_DEADLINE_S, StepDown("the lease was not renewed for 7 s"), id="ours, too late"),
        pytest.param(None, 0.0, 3.0, StepDown("the Lease was deleted"), id="ours, deleted"),
        pytest.param(ANOTHERS, 0.0, 3.0, StepDown("'pod-b' took the lease"), id="ours, taken"),
        pytest.param(RELEASED, 0.0, 3.0, StepDown("'' took the lease"), id="ours, released by somebody"),
        pytest.param(PREDECESSORS, 0.0, 3.0, StepDown("'pod-a' took the lease"), id="ours, taken under our name"),
    ],
)
def test_the_decision_follows_from_what_was_seen_and_when(
    record: Record | None, unchanged_s: float | None, renewed_s_ago: float | None, decision: Decision
) -> None:
    now_s = 1000.0

    made = decide(
        record,
        ME,
        now_s=now_s,
        unchanged_since_s=None if unchanged_s is None else now_s - unchanged_s,
        renewed_at_s=None if renewed_s_ago is None else now_s - renewed_s_ago,
    )

    assert made == decision


# Electors on a Lease in memory. Each request can be halted before it is carried out and before its answer arrives.


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


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def leading(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("leader_election_master_status", {"name": "ehr-operator"})


async def test_the_first_one_leads_and_says_so_in_the_lease_and_the_metric(server: Server, clock: Clock) -> None:
    metrics = Metrics()
    first = elector(server, clock, "a", metrics)
    before = leading(metrics)

    await first.attempt()

    assert first.holds()
    assert (before, leading(metrics)) == (0.0, 1.0)
    assert server.body is not None
    assert server.body["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": LEASE_S,
        "acquireTime": "2027-01-15T08:00:00.000000Z",
        "renewTime": "2027-01-15T08:00:00.000000Z",
        "leaseTransitions": 0,
    }


async def test_a_renewal_is_one_request_and_changes_nothing_but_its_time(server: Server, clock: Clock) -> None:
    first = elector(server, clock, "a")
    await first.attempt()
    assert server.body is not None
    before = server.body["spec"]
    server.requests.clear()
    clock.now_s = 2.0

    await first.attempt()

    assert server.requests == ["replace"]
    assert server.body["spec"] == before | {"renewTime": "2027-01-15T08:00:02.000000Z"}


async def test_a_silent_leader_is_followed_after_the_lease_and_not_before(server: Server, clock: Clock) -> None:
    first, second = elector(server, clock, "a"), elector(server, clock, "b", ahead_s=5000.0)
    await first.attempt()
    clock.now_s = 1.0
    pause_s = await second.attempt()

    while not second.holds():
        clock.now_s += pause_s
        pause_s = await second.attempt()

    assert clock.now_s == pytest.approx(1.0 + LEASE_S)
    assert not first.holds()
    assert server.body is not None
    assert (server.body["spec"]["holderIdentity"], server.body["spec"]["leaseTransitions"]) == ("b", 1)


async def test_a_released_lease_is_taken_at_once(server: Server, clock: Clock) -> None:
    metrics = Metrics()
    first, second = elector(server, clock, "a", metrics), elector(server, clock, "b")
    await first.attempt()
    await second.attempt()

    await first.release()
    assert (first.holds(), leading(metrics)) == (False, 0.0)
    await second.attempt()

    assert second.holds()


async def test_a_follower_releases_nothing(server: Server, clock: Clock) -> None:
    first, second = elector(server, clock, "a"), elector(server, clock, "b")
    await first.attempt()
    await second.attempt()

    await second.release()

    assert server.body is not None
    assert server.body["spec"]["holderIdentity"] == "a"


async def test_the_next_process_of_a_pod_leads_at_once_and_the_last_one_would_notice(
    server: Server, clock: Clock
) -> None:
    last, following = elector(server, clock, "a"), elector(server, clock, "a")
    await last.attempt()

    await following.attempt()

    assert following.holds()
    assert server.body is not None
    assert server.body["spec"]["leaseTransitions"] == 0
    await last.attempt()  # refused: the Lease has another version
    with pytest.raises(LeaseLostError):
        await last.attempt()


async def test_a_lost_answer_to_a_renewal_is_no_renewal_and_no_loss(server: Server, clock: Clock) -> None:
    first = elector(server, clock, "a")
    await first.attempt()
    clock.now_s, server.lose_answer = RENEW_DEADLINE_S - 1.0, True
    await first.attempt()

    clock.now_s, server.lose_answer = RENEW_DEADLINE_S - 0.5, False
    assert not first.holds(LEASE_S - RENEW_DEADLINE_S + 1.0)
    await first.attempt()

    assert first.holds(LEASE_S - 1.0)


async def test_an_api_server_that_is_away_ends_leadership_at_the_deadline(server: Server, clock: Clock) -> None:
    first = elector(server, clock, "a")
    pause_s = await first.attempt()
    server.failure = ApiUnavailableError("away")

    async def go_on() -> None:
        nonlocal pause_s
        for _ in range(20):
            clock.now_s += pause_s
            pause_s = await first.attempt()

    with pytest.raises(LeaseLostError, match="not renewed for 7 s"):
        await go_on()

    assert clock.now_s == pytest.approx(RENEW_DEADLINE_S)
    assert not first.holds()


async def test_a_right_that_is_missing_is_told_and_forgotten_once_it_is_there(server: Server, clock: Clock) -> None:
    first = elector(server, clock, "a")
    server.failure = ForbiddenError("may not get leases")
    await first.attempt()
    obstacle = first.obstacle

    server.failure = None
    await first.attempt()

    assert obstacle is not None
    assert "may not get leases" in obstacle
    assert (first.obstacle, first.holds()) == (None, True)


async def test_what_takes_longer_than_the_lease_is_certain_to_last_is_not_begun(server: Server, clock: Clock) -> None:
    first = elector(server, clock, "a")
    with pytest.raises(NotLeaderError):
        first.assert_leader()
    await first.attempt()

    clock.now_s = 2.9
    first.assert_leader(LEASE_S - 3.0)
    clock.now_s = 3.1
    with pytest.raises(NotLeaderError):
        first.assert_leader(LEASE_S - 3.0)
    first.assert_leader()
    clock.now_s = RENEW_DEADLINE_S
    with pytest.raises(NotLeaderError):
        first.assert_leader()


def test_the_periods_leave_room_for_take_over_for_spending_and_for_a_request_under_way() -> None:
    longest_pause_s = LONGEST_PAUSE * RETRY_S

    assert TAKE_OVER_S <= 13.0, "two seconds of the promised fifteen are for the list after the election"
    assert longest_pause_s + 1.0 + SPENDING_TIMEOUT_S < LEASE_S, "who renews on time may spend at any moment"
    assert RENEW_DEADLINE_S + REQUEST_S < LEASE_S, "what was sent at the last moment is answered before another leads"
    assert 2 * (longest_pause_s + REQUEST_S) < RENEW_DEADLINE_S + longest_pause_s, "two renewals may fail"


# Any interleaving.


class Process:
    """A process that goes on, from halt to halt, only when the test says so; in between it is suspended."""

    def __init__(self, server: Server, clock: Clock, name: str, ahead_s: float) -> None:
        self._make = lambda: elector(server, clock, name, ahead_s=ahead_s)
        self.elector = self._make()
        self._attempt: Coroutine[Any, Any, float] | None = None
        self.terms = 0

    def step(self) -> None:
        """Go on to the next halt; a process that lost the lease is started anew."""
        if self._attempt is None:
            self._attempt = self.elector.attempt()
        led = self.elector.elected.is_set()
        try:
            self._attempt.send(None)
        except StopIteration:
            self._attempt = None
        except LeaseLostError:
            self.restart()
        self.terms += self.elector.elected.is_set() and not led

    @property
    def halted(self) -> bool:
        """Whether a request is on its way."""
        return self._attempt is not None

    def restart(self) -> None:
        """Kill -9, and start."""
        self.interrupt()
        self.elector = self._make()

    def interrupt(self) -> None:
        """Cancel a request that is on its way."""
        if self._attempt is not None:
            self._attempt.close()
        self._attempt = None


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["go on", "round", "round", "round", "request fails", "answer is lost", "kill", "release"]),
        st.sampled_from([0.0, 1.5, 3.9, 5.4, RENEW_DEADLINE_S - 0.1, LEASE_S]),
    ),
    min_size=4,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(actions=ACTIONS, ahead_s=st.sampled_from([-3600.0, 0.0, 7.5, 86400.0]))
def test_two_never_lead_at_once_whatever_is_delayed_lost_or_suspended(
    actions: list[tuple[int, str, float]], ahead_s: float
) -> None:
    server, clock = Server(halting=True), Clock()
    processes = [Process(server, clock, "a", 0.0), Process(server, clock, "b", ahead_s)]

    for who, action, pause_s in actions:
        clock.now_s += pause_s
        process = processes[who]
        server.failure = ApiUnavailableError("away") if action == "request fails" else None
        server.lose_answer = action == "answer is lost"
        if action == "kill":
            process.restart()
        elif action == "release" and process.elector.holds():
            process.interrupt()
            released = process.elector.release()
            with suppress(StopIteration):
                for _ in range(10):
                    released.send(None)
            process.restart()
        else:
            process.step()
            while action == "round" and process.halted:
                process.step()
        assert [each.elector.holds() for each in processes] != [True, True]


@given(first=st.integers(0, 1), ahead_s=st.sampled_from([-3600.0, 86400.0]))
def test_whoever_is_alone_comes_to_lead(first: int, ahead_s: float) -> None:
    server, clock = Server(halting=True), Clock()
    processes = [Process(server, clock, "a", 0.0), Process(server, clock, "b", ahead_s)]
    for who in (first, 1 - first):
        for _ in range(200):
            clock.now_s += 0.5
            processes[who].step()
        assert processes[who].elector.holds()
        assert processes[who].terms == 1
