"""Messages that are due and wait, by endpoint and by why: what each process holds back is in its memory alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class EndpointKey(NamedTuple):
    """An endpoint of an organisation."""

    namespace: str
    organization: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class HeldSends:
    """How many messages wait at each endpoint that this process works for, by reason; nothing waits where there is none.

    A reason is one of `ehr_connector.notify.decision.Reason`, or an outcome that is tried again
    (`ehr_connector.notify.planner.planned.Result`).
    """

    by_endpoint: Mapping[EndpointKey, Mapping[str, int]]
    oldest_due_s: float = 0.0
    """For how long the oldest message is due that could go out, in seconds; 0 when there is none."""

    def by_reason(self) -> Mapping[str, int]:
        """Return how many wait for each reason, at all endpoints together."""
        total: Counter[str] = Counter()
        for reasons in self.by_endpoint.values():
            total.update(reasons)
        return total
