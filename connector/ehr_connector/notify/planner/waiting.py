"""Messages of one endpoint that are due: since when those are that could go out, and why the others wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from ehr_connector.notify.decision import Reason
from ehr_connector.notify.planner.plan import Due
from ehr_connector.notify.planner.planned import Result

OF_THE_DAY = frozenset({Reason.OVER_DAILY_CAP, Reason.OVER_WEEKLY_CAP})
"""What only time mends, or a new configuration."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits."""

    due: Due
    why: Reason | Result
    not_before: datetime | None = None
    """Until then it is known to wait, unless the visit changes."""
    start: datetime | None = None
    """Of the visit."""

    def still_waits(self, due: Due | None, start: datetime, now: datetime) -> bool:
        """Return whether a message that is due is this one, and known to wait."""
        if due is None or self.not_before is None or now >= self.not_before:
            return False
        return (self.due.occasion, self.due.offset, self.start) == (due.occasion, due.offset, start)


class Waiting:
    """What waits, one message a visit."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._since: dict[str, datetime] = {}
        """Since when messages are due that could go out."""

    def could_go(self, visit: str, since: datetime) -> None:
        """Count a message as one that could go out."""
        self._since.setdefault(visit, since)

    def hold(self, visit: str, held: Held) -> None:
        """Count a message as one that waits; what failed could go out nevertheless."""
        self._held[visit] = held
        if isinstance(held.why, Reason):
            self._since.pop(visit, None)

    def let_go(self, visit: str) -> None:
        """Count a visit's message as due no more."""
        self._held.pop(visit, None)
        self._since.pop(visit, None)

    def of(self, visit: str) -> Held | None:
        """Return the message of a visit that waits."""
        return self._held.get(visit)

    def visits(self) -> Collection[str]:
        """Return the visits whose messages wait."""
        return list(self._held)

    def keep(self, visits: Collection[str]) -> None:
        """Forget all but these."""
        for visit in [one for one in self._held.keys() | self._since.keys() if one not in visits]:
            self.let_go(visit)

    def by_reason(self) -> Mapping[str, int]:
        """Return how many wait, by reason."""
        return Counter(one.why.value for one in self._held.values())

    def oldest_s(self, now: datetime) -> float:
        """Return for how long the oldest message is due that could go out."""
        return max((now - min(self._since.values(), default=now)).total_seconds(), 0.0)
