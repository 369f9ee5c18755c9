"""Percentiles of times that are counted by the second. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

from ehr_connector.reports.ports import Waits


def waits_of(counted: Iterable[tuple[int, int]]) -> Waits:
    """Return what is told of waits, given as (seconds, how many); the same seconds may come more than once."""
    counts: Counter[int] = Counter()
    for seconds, count in counted:
        counts[seconds] += count
    if not counts:
        return Waits()
    seconds = sorted(counts)
    reached = list(accumulate(counts[one] for one in seconds))
    return Waits(
        count=reached[-1],
        p50_s=_percentile(seconds, reached, 50),
        p90_s=_percentile(seconds, reached, 90),
        p95_s=_percentile(seconds, reached, 95),
        longest_s=seconds[-1],
    )


def _percentile(seconds: Sequence[int], reached: Sequence[int], percent: int) -> int:
    """Return the shortest time that so many percent did not exceed (nearest rank)."""
    rank = -(-reached[-1] * percent // 100)
    return next(one for one, many in zip(seconds, reached, strict=True) if many >= rank)
