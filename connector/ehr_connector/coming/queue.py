"""Visits of one endpoint that somebody is to look at: each once, none before its time, what is urgent first. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

_FIRST_PAUSE_S = 4.0
_LONGEST_PAUSE_S = 64.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A visit that wants to be looked at."""

    visit: str
    start: datetime
    at_s: float
    """Not before this moment."""
    urgent: bool = False
    """Its patient is here."""
    failures: int = 0
    """How often in a row the EHR could not be asked about it, or not changed; it is read again before the next try."""


class WantedVisits:
    """The visits that wait."""

    def __init__(self) -> None:
        self._waiting: dict[str, Wanted] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, visit: str, start: datetime, at_s: float, *, urgent: bool = False) -> None:
        """Let a visit be looked at; one that waits out a failure goes on waiting, unless it is urgent now."""
        waiting = self._waiting.get(visit)
        if waiting is None:
            self._waiting[visit] = Wanted(visit, start, at_s, urgent)
        elif urgent and not waiting.urgent:
            self._waiting[visit] = Wanted(visit, start, at_s, True, waiting.failures)

    def again(self, tried: Wanted, now_s: float) -> None:
        """Let a visit be looked at again, after a pause that grows."""
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(tried.failures, 8), _LONGEST_PAUSE_S)
        self._waiting[tried.visit] = Wanted(tried.visit, tried.start, now_s + pause_s, False, tried.failures + 1)

    def take(self, number: int, now_s: float) -> Sequence[Wanted]:
        """Remove and return at most `number` visits whose time has come: urgent ones, then those that begin first."""
        ready = (one for one in self._waiting.values() if one.at_s <= now_s)
        taken = heapq.nsmallest(number, ready, key=lambda one: (not one.urgent, one.start, one.visit))
        for one in taken:
            del self._waiting[one.visit]
        return taken

    def next_s(self) -> float | None:
        """Return when the next visit's time comes."""
        return min((one.at_s for one in self._waiting.values()), default=None)

    def forget(self, keep: Collection[str]) -> None:
        """Forget visits that are not among `keep`."""
        for visit in [visit for visit in self._waiting if visit not in keep]:
            del self._waiting[visit]
