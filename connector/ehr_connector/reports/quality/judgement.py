"""What counts as a poor leg. Pure.

Source of the defaults: Teams, "Stream classification in Call Quality Dashboard".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ehr_api.duration import seconds
from ehr_api.v1alpha1.ehr_connector_config import QualityDimension, QualityThresholds, Reports
from ehr_connector.reports.quality.ports import OTHER, Figures, PoorBecause, QualityCounts

_MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which a figure is poor; it may be reached."""

    jitter_ms: float = 30.0
    round_trip_ms: float = 500.0
    packet_loss: float = 0.10
    concealed_audio: float = 0.07
    frame_rate: float = 7.0
    """Less is poor."""

    @classmethod
    def of(cls, thresholds: QualityThresholds | None) -> Limits:
        """Return the limits of an organisation; what it leaves open is as by default."""
        if thresholds is None:
            return cls()
        usual, given = cls(), thresholds
        loss, concealed = given.packet_loss_percent, given.concealed_audio_percent
        return cls(
            jitter_ms=usual.jitter_ms if given.jitter is None else seconds(given.jitter) * 1000,
            round_trip_ms=usual.round_trip_ms
            if given.round_trip_time is None
            else seconds(given.round_trip_time) * 1000,
            packet_loss=usual.packet_loss if loss is None else loss / 100,
            concealed_audio=usual.concealed_audio if concealed is None else concealed / 100,
            frame_rate=usual.frame_rate if given.frame_rate is None else float(given.frame_rate),
        )


HIGHER_IS_POOR: Mapping[PoorBecause, str] = {
    PoorBecause.JITTER: "jitter_ms",
    PoorBecause.ROUND_TRIP: "round_trip_ms",
    PoorBecause.PACKET_LOSS: "packet_loss",
    PoorBecause.CONCEALED_AUDIO: "concealed_audio",
}
LOWER_IS_POOR: Mapping[PoorBecause, str] = {PoorBecause.FRAME_RATE: "frame_rate"}
"""The figures by which a leg is judged; of the same names as their limits and their columns."""


def is_configured(reports: Reports | None) -> bool:
    """Return whether an organisation wants call quality: it has said what is poor, or how to group it."""
    return reports is not None and (reports.thresholds is not None or bool(reports.dimensions))


def poor_because(figures: Figures, limits: Limits) -> Sequence[PoorBecause] | None:
    """Return why a leg is poor, nothing for a good one, and None where there is no figure to judge by."""
    found: list[PoorBecause] = []
    is_judged = False
    for judged, sign in ((HIGHER_IS_POOR, 1), (LOWER_IS_POOR, -1)):
        for reason, name in judged.items():
            figure: float | None = getattr(figures, name)
            limit: float = getattr(limits, name)
            is_judged |= figure is not None
            if figure is not None and sign * figure > sign * limit:
                found.append(reason)
    return found if is_judged else None


def capped(dimension: QualityDimension, values: Mapping[str, QualityCounts]) -> Mapping[str, QualityCounts]:
    """Return the values of a dimension, the most frequent first, and those beyond its cap together as `other`."""
    most = dimension.max_values or _MOST_VALUES
    # A value that says so itself is counted with the rest, wherever it would stand.
    ordered = sorted((one for one in values if one != OTHER), key=lambda one: (-values[one].total, one))
    rest = [values[one] for one in ordered[most:]] + ([values[OTHER]] if OTHER in values else [])
    return {one: values[one] for one in ordered[:most]} | ({OTHER: together(rest)} if rest else {})


def together(some: Iterable[QualityCounts]) -> QualityCounts:
    """Return the sum."""
    good = poor = unclassified = 0
    for one in some:
        good, poor, unclassified = good + one.good, poor + one.poor, unclassified + one.unclassified
    return QualityCounts(good, poor, unclassified)
