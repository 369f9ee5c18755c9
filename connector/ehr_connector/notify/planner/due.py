"""Visits that somebody is to look at, each once and none before its time; what is due for longest comes first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from datetime import datetime


class DueVisits:
    """The visits that wait, in a heap: tens of thousands that are due at once take no longer each than a few."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, visit: str, at: datetime) -> None:
        """Let a visit be looked at then, and not at the time that was said before."""
        if self._at.get(visit) == at:
            return
        self._at[visit] = at
        heapq.heappush(self._heap, (at, visit))
        if len(self._heap) > 2 * len(self._at) + 64:
            self._heap = [(at, visit) for visit, at in self._at.items()]
            heapq.heapify(self._heap)

    def drop(self, visit: str) -> None:
        """Look at a visit no more."""
        self._at.pop(visit, None)

    def keep(self, visits: Collection[str]) -> None:
        """Look at none but these."""
        for visit in [visit for visit in self._at if visit not in visits]:
            del self._at[visit]

    def take(self, now: datetime) -> str | None:
        """Remove and return the visit that is due for longest, or None while none is."""
        at = self.next_at()
        if at is None or at > now:
            return None
        _, visit = heapq.heappop(self._heap)
        del self._at[visit]
        return visit

    def next_at(self) -> datetime | None:
        """Return when the next visit's time comes."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
