"""What pages and the API ask of call quality: rows of figures, and what counts as poor. No I/O.

A leg is one participant's part of a call. Its figures are those of its worst stream, so that a leg is poor when one of
its streams is. What counts as poor is decided when it is asked for, by the organisation's thresholds of that moment: a
new threshold holds for the past too, and periods stay comparable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import ConfigDict, computed_field

from ehr_connector.reports.ports import API_NAMES, Filters, Reader
from ehr_connector.visits.events import Side

OTHER = "other"
"""Values of a dimension beyond the number that it may have, counted together."""
UNKNOWN = "unknown"
"""What Microsoft does not tell."""


class PoorBecause(StrEnum):
    """Which figure made a leg poor."""

    JITTER = "jitter"
    ROUND_TRIP = "round_trip"
    PACKET_LOSS = "packet_loss"
    CONCEALED_AUDIO = "concealed_audio"
    FRAME_RATE = "frame_rate"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the worst stream of each figure; None where Microsoft tells none."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    jitter_ms: float | None = None
    max_jitter_ms: float | None = None
    round_trip_ms: float | None = None
    max_round_trip_ms: float | None = None
    packet_loss: float | None = None
    """A ratio: 0.01 is one in a hundred."""
    max_packet_loss: float | None = None
    concealed_audio: float | None = None
    """Ratio of audio samples that were made up in the place of lost ones."""
    max_concealed_audio: float | None = None
    audio_degradation: float | None = None
    """By how much network loss and jitter lowered the mean opinion score (1 to 5)."""
    frame_rate: float | None = None
    """Video frames a second."""
    freeze_ms: float | None = None
    """Average length of a frozen picture."""
    low_frame_rate: float | None = None
    """Ratio of the time with fewer than 7.5 frames a second."""


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One leg."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    visit: str
    """As the consumption report has it."""
    call: str
    """The same for all legs of a call; it leads to nobody."""
    leg: int
    side: Side | None
    """None where the record does not tell."""
    booked_start: datetime
    day: date
    started_at: datetime
    duration_s: int
    department: str
    endpoint: str
    environment: str
    visit_type: str
    """patient or consult."""
    location: str
    """A location of the endpoint's configuration, or `unknown`."""
    network_kind: str
    """wired, wifi, mobile, tunnel or `unknown`."""
    platform: str
    """For example windows, iOS or web, or `unknown`."""
    figures: Figures
    poor_because: Sequence[PoorBecause] | None
    """Empty: a good leg; None: Microsoft gave no figure to judge by."""
    dimensions: Mapping[str, str] = field(default_factory=dict[str, str])
    """The organisation's own dimensions by name; a value beyond the cap is `other`, as in the summary of the same filters. In
    CSV each is a column of its own at the end, called by its name (`dimension.` before it where another column is called so)."""


@dataclass(frozen=True, slots=True)
class QualityCounts:
    """How many were how good."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    good: int = 0
    poor: int = 0
    unclassified: int = 0
    """Without a figure to judge by."""

    @computed_field
    @property
    def total(self) -> int:
        """Return how many there were."""
        return self.good + self.poor + self.unclassified

    @computed_field
    @property
    def poor_rate(self) -> float | None:
        """Return the part of the judged ones that were poor; None when none was judged."""
        judged = self.good + self.poor
        return self.poor / judged if judged else None


@dataclass(frozen=True, slots=True)
class QualitySummary:
    """Numbers of the calls that the filters choose; a call is poor when one of its legs is."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    calls: QualityCounts = field(default_factory=QualityCounts)
    by_day: Mapping[date, QualityCounts] = field(default_factory=dict[date, QualityCounts])
    """Calls, in order of the days; a day without calls is missing."""
    by_department: Mapping[str, QualityCounts] = field(default_factory=dict[str, QualityCounts])
    """Calls."""
    legs: QualityCounts = field(default_factory=QualityCounts)
    by_side: Mapping[str, QualityCounts] = field(default_factory=dict[str, QualityCounts])
    """Legs by `Side`, or `unknown`."""
    by_network_kind: Mapping[str, QualityCounts] = field(default_factory=dict[str, QualityCounts])
    """Legs."""
    by_platform: Mapping[str, QualityCounts] = field(default_factory=dict[str, QualityCounts])
    """Legs."""
    because: Mapping[PoorBecause, int] = field(default_factory=dict[PoorBecause, int])
    """Poor legs by figure; a leg may be poor for several."""
    dimensions: Mapping[str, Mapping[str, QualityCounts]] = field(
        default_factory=dict[str, Mapping[str, QualityCounts]]
    )
    """Legs by the organisation's own dimensions, in the order of the configuration; the most frequent values first."""


class QualityQueries(Protocol):
    """What the database tells (`ehr_connector.reports.quality.queries.QualityReports`)."""

    async def dimensions(self, reader: Reader) -> Sequence[str]:
        """Return the names of the organisation's own dimensions."""
        ...

    def quality_rows(self, reader: Reader, filters: Filters) -> AsyncIterator[QualityRow]:
        """Give the legs in the order of their visits' booked time; a slow reader holds nothing, and memory stays flat."""
        ...

    async def quality_summary(self, reader: Reader, filters: Filters) -> QualitySummary:
        """Return the numbers."""
        ...
