"""Two never lead at once, whatever is delayed, lost or suspended: any interleaving of two processes."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.operator.runtime.lease_in_memory import Clock, Server, elector

from ehr_operator.runtime.kube import ApiUnavailableError
from ehr_operator.runtime.lease import (
    LEASE_S,
    RENEW_DEADLINE_S,
    LeaseLostError,
)


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
