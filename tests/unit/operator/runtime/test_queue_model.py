"""The work queue against a model that anyone can check by eye: requests in any order, never two at a time, none lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ehr_operator.runtime.model import Key
from ehr_operator.runtime.queue import Priority, WorkQueue

KEYS = [Key("Widget", "lamna", name) for name in "abcd"]
PAUSE_S = 5
HOSTS = {KEYS[0]: "x", KEYS[1]: "x", KEYS[2]: "x"}
"""Three objects wait for one server, which may have one at a time; the fourth waits for none."""


class QueueMachine(RuleBasedStateMachine):
    """Times are whole seconds, so that sums are exact."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = WorkQueue(min_interval_s=PAUSE_S, host_of=HOSTS.get)
        self.now = 0
        self.wanted: dict[Key, int] = {}
        """When each object was to be looked at, by the earliest request since its last start."""
        self.started: dict[Key, int] = {}
        self.active: set[Key] = set()

    def due(self, key: Key) -> int:
        return max(self.wanted[key], self.started.get(key, -PAUSE_S) + PAUSE_S)

    def host_is_taken(self, key: Key) -> bool:
        return key in HOSTS and any(other in HOSTS for other in self.active)

    def free(self) -> dict[Key, int]:
        return {key: self.due(key) for key in self.wanted if key not in self.active}

    @rule(key=st.sampled_from(KEYS), priority=st.sampled_from(Priority), after_s=st.integers(0, 12))
    def ask(self, key: Key, priority: Priority, after_s: int) -> None:
        self.queue.add(key, priority, now=self.now, after_s=after_s)
        self.wanted[key] = min(self.wanted.get(key, self.now + after_s), self.now + after_s)

    @rule(seconds=st.integers(1, 7))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        due = {key for key, moment in self.free().items() if moment <= self.now and not self.host_is_taken(key)}
        work = self.queue.take(now=self.now)
        if work is None:
            assert not due
            return
        assert work.key in due
        assert self.now - self.started.get(work.key, -PAUSE_S) >= PAUSE_S
        del self.wanted[work.key]
        self.started[work.key] = self.now
        self.active.add(work.key)

    @precondition(lambda self: self.active)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.active)))
        self.queue.done(key, now=self.now)
        self.active.remove(key)

    @invariant()
    def the_queue_knows_when_it_is_next_needed(self) -> None:
        free = self.free()
        if any(self.host_is_taken(key) for key in free):
            return  # it may count those that a server holds up as due, until the next `take`
        expected = max(0, min(free.values()) - self.now) if free else None
        assert self.queue.next_due_s(now=self.now) == expected

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        assert (len(self.queue), self.queue.active) == (len(self.wanted), len(self.active))


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
