"""The work queue of one kind: each object once, the urgent first, none twice at a time, and not too many at one server.

It has no clock and no tasks of its own: the controller tells it the time, so tests need not sleep.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import IntEnum

from ehr_operator.runtime.model import Key


class Priority(IntEnum):
    """Who goes first when several objects are due."""

    DELETION = 0
    CHANGE = 1
    RETRY = 2
    PERIODIC = 3


@dataclass(order=True, slots=True)
class _Entry:
    due_at: float
    priority: Priority
    number: int
    key: Key = field(compare=False)
    host: Hashable = field(compare=False)
    valid: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Work:
    """One object to reconcile now."""

    key: Key
    waited_s: float
    """Since it was due."""


class WorkQueue:
    """Keys that wait, with the time when each is due. Times are monotonic seconds, given by the caller."""

    def __init__(
        self, min_interval_s: float = 0.0, host_of: Callable[[Key], Hashable] | None = None, *, most_at_host: int = 1
    ) -> None:
        """`host_of` returns the server that an object's reconcile waits for, or None; each has `most_at_host` at a time."""
        self._min_interval_s = min_interval_s
        self._host_of = host_of or _no_host
        self._most_at_host = most_at_host
        self._later: list[_Entry] = []
        self._ready: list[tuple[Priority, int, _Entry]] = []
        self._waiting: dict[Key, _Entry] = {}
        self._active: dict[Key, Hashable] = {}
        """Objects being reconciled, and the server that each waits for."""
        self._at_host: Counter[Hashable] = Counter()
        self._held: dict[Hashable, list[tuple[Priority, int, _Entry]]] = {}
        """What is due at a server that has its most already."""
        self._again: dict[Key, tuple[Priority, float]] = {}
        self._last_start: dict[Key, float] = {}
        self._number = 0

    def __len__(self) -> int:
        """Return how many objects wait, those that are not due yet included."""
        return len(self._waiting) + len(self._again)

    @property
    def active(self) -> int:
        """How many objects are being reconciled."""
        return len(self._active)

    def add(self, key: Key, priority: Priority, *, now: float, after_s: float = 0.0) -> None:
        """Ask for a reconcile of `key`. An earlier or more urgent request for the same key stands; a later one is dropped."""
        due_at = now + after_s
        if key in self._active:
            kept = self._again.get(key)
            if kept is None or (due_at, priority) < (kept[1], kept[0]):
                self._again[key] = (priority, due_at)
            return
        due_at = max(due_at, self._last_start.get(key, due_at - self._min_interval_s) + self._min_interval_s)
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting.due_at <= now or due_at <= now or waiting.priority == priority:
                # Both are due, or alike: the earlier time and the greater urgency hold.
                priority = min(priority, waiting.priority)
            elif waiting.due_at <= due_at:
                priority = waiting.priority
            due_at = min(due_at, waiting.due_at)
            if (waiting.due_at, waiting.priority) == (due_at, priority):
                return
            waiting.valid = False
        self._push(key, priority, due_at)

    def take(self, *, now: float) -> Work | None:
        """Return the most urgent object that is due, and mark it as being worked on; None when nothing is due."""
        self._promote(now)
        while self._ready:
            ready = heapq.heappop(self._ready)
            entry = ready[2]
            if not entry.valid:
                self._admit(entry.host)
                continue
            if entry.host is not None and self._at_host[entry.host] >= self._most_at_host:
                heapq.heappush(self._held.setdefault(entry.host, []), ready)
                continue
            del self._waiting[entry.key]
            self._active[entry.key] = entry.host
            self._at_host[entry.host] += 1
            self._last_start[entry.key] = now
            return Work(entry.key, max(0.0, now - entry.due_at))
        return None

    def done(self, key: Key, *, now: float) -> None:
        """Say that the work on `key` is over; what was asked for meanwhile is due now."""
        host = self._active.pop(key)
        self._at_host[host] -= 1
        if not self._at_host[host]:
            del self._at_host[host]
        self._admit(host)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again[0], now=now, after_s=max(0.0, again[1] - now))

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
        self._last_start.pop(key, None)

    def next_due_s(self, *, now: float) -> float | None:
        """Return the seconds until something is due (0: now), or None when nothing waits."""
        self._promote(now)
        while self._ready and not self._ready[0][2].valid:
            self._admit(heapq.heappop(self._ready)[2].host)  # its turn goes to one that is still wanted
        if self._ready:
            return 0.0
        while self._later and not self._later[0].valid:
            heapq.heappop(self._later)
        return max(0.0, self._later[0].due_at - now) if self._later else None

    def _admit(self, host: Hashable) -> None:
        """Let the most urgent of those that are held for a server come next; it passes its turn on if it does not want it."""
        held = self._held.get(host)
        if held:
            heapq.heappush(self._ready, heapq.heappop(held))
            if not held:
                del self._held[host]

    def _push(self, key: Key, priority: Priority, due_at: float) -> None:
        self._number += 1
        entry = _Entry(due_at, priority, self._number, key, self._host_of(key))
        self._waiting[key] = entry
        heapq.heappush(self._later, entry)

    def _promote(self, now: float) -> None:
        """Move what has become due to the heap that is ordered by urgency."""
        while self._later and self._later[0].due_at <= now:
            entry = heapq.heappop(self._later)
            if entry.valid:
                heapq.heappush(self._ready, (entry.priority, entry.number, entry))


def _no_host(_key: Key) -> Hashable:
    """Every object is by itself."""
    return None
