"""How slow an EHR is: a percentile over the last looks, so that one slow answer is no verdict."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

PERCENTILE = 95
WINDOW = 20
"""Looks that are kept: with so many, the 95th percentile leaves one outlier out."""


@dataclass(slots=True)
class Latencies:
    """The times of the last looks that were answered. They live in memory alone, and start anew with the process."""

    samples: array[float] = field(default_factory=lambda: array("d"))
    """Seconds, the latest last; an array, since there are ten thousand of these and a deque takes four times the memory."""

    def add(self, elapsed_s: float, *, limit_s: float, stands_slow: bool) -> None:
        """Take in a look; the first fast one of an endpoint that stands as slow starts the window anew.

        The percentile is slow to judge, and would be as slow to forgive: a server that was mended counts as mended at once.
        """
        if stands_slow and elapsed_s <= limit_s:
            del self.samples[:]
        self.samples.append(elapsed_s)
        del self.samples[:-WINDOW]


def percentile(samples: Sequence[float]) -> float:
    """Return the 95th percentile by nearest rank; below 20 samples that is the slowest."""
    return sorted(samples)[math.ceil(PERCENTILE / 100 * len(samples)) - 1]
