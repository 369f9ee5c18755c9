"""The page of call quality: how well calls worked, and where they did not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ehr_api.v1alpha1.ehr_connector_config import QualityDimension
from ehr_connector.reports.charts.blocks import Drawing, Group
from ehr_connector.reports.charts.drawing import Tone
from ehr_connector.reports.quality.ports import OTHER, UNKNOWN, PoorBecause, QualityCounts, QualitySummary
from ehr_connector.reports.web.views import Block, Figure, labels_of
from ehr_connector.visits.booking import VisitKind
from ehr_connector.visits.events import Side
from ehr_connector.web.locales import N_

BECAUSE: Mapping[PoorBecause, str] = {
    PoorBecause.JITTER: N_("Jitter"),
    PoorBecause.ROUND_TRIP: N_("Slow connection (round trip)"),
    PoorBecause.PACKET_LOSS: N_("Lost packets"),
    PoorBecause.CONCEALED_AUDIO: N_("Gaps in the sound"),
    PoorBecause.FRAME_RATE: N_("Too few pictures a second"),
}
_SIDES: Mapping[str, str] = {Side.PATIENT: N_("Patient's side"), Side.PROVIDER: N_("Clinician's side")}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "NetworkKind": {
        "wired": N_("Cable"),
        "wifi": N_("Wi-Fi"),
        "mobile": N_("Mobile network"),
        "tunnel": N_("VPN"),
    },
    "Environment": {"Test": N_("Test"), "Production": N_("Production")},
    "VisitType": {VisitKind.PATIENT: N_("With a patient"), VisitKind.CONSULT: N_("Among clinicians")},
}
"""What the values of a source of dimensions are called; those of the others are names already."""
_REST: Mapping[str, str] = {UNKNOWN: N_("Unknown"), OTHER: N_("Other")}
_GOOD, _POOR, _UNCLASSIFIED = "good", "poor", "unclassified"
_GROUPS = (
    Group(N_("Good"), Tone.GOOD, frozenset({_GOOD})),
    Group(N_("Poor"), Tone.BAD, frozenset({_POOR})),
    Group(N_("No figures"), Tone.MUTED, frozenset({_UNCLASSIFIED})),
)
EMPTY = (
    N_("No call was measured in this time."),
    N_(
        "Microsoft gives the figures some minutes after a call has ended, once the application may read call records"
        " (CallRecords.Read.All). Choose more days, or take the filters back."
    ),
)


def figures(summary: QualitySummary, drawing: Drawing) -> Sequence[Figure]:
    """Return the numbers at the top."""
    written, text = drawing.written, drawing.text
    calls = summary.calls
    return [
        Figure(text(N_("Calls")), written.number(calls.total)),
        Figure(text(N_("Poor calls")), written.percent(calls.poor_rate), text(N_("of those with figures"))),
        Figure(text(N_("Connections")), written.number(summary.legs.total), text(N_("one for each person in a call"))),
        Figure(text(N_("Poor connections")), written.percent(summary.legs.poor_rate)),
        Figure(text(N_("No figures")), written.number(calls.unclassified)),
    ]


def blocks(
    summary: QualitySummary, names: Mapping[str, str], dimensions: Sequence[QualityDimension], drawing: Drawing
) -> Sequence[Block]:
    """Return the pictures with their tables; `names` is what departments are called, `dimensions` are the organisation's own."""
    text = drawing.text
    because = {text(words): summary.because.get(one, 0) for one, words in BECAUSE.items()}
    translated = {source: {one: text(words) for one, words in told.items()} for source, told in _WORDS.items()}
    words_of: Mapping[str, Mapping[str, str]] = translated | {"Department": names}
    sides = {one: text(words) for one, words in _SIDES.items()}
    departments = _named(summary.by_department, names, drawing)
    by_day = {day: _counted(one) for day, one in summary.by_day.items()}
    parts = [
        drawing.over_time("by-day", N_("Calls over time"), by_day, _GROUPS),
        drawing.plain("because", N_("What made them poor"), N_("Cause"), because, Tone.BAD, N_("Connections")),
        drawing.by_name("by-department", N_("Calls by department"), N_("Department"), departments, _GROUPS),
    ]
    for name, title, kind, counts, words in (
        ("by-side", N_("Connections by side"), N_("Side"), summary.by_side, sides),
        ("by-network", N_("Connections by network"), N_("Network"), summary.by_network_kind, translated["NetworkKind"]),
        ("by-platform", N_("Connections by platform"), N_("Platform"), summary.by_platform, {}),
    ):
        parts.append(drawing.by_name(name, title, kind, _named(counts, words, drawing), _GROUPS))
    sources = {one.name: one.source for one in dimensions}
    for name, counts in summary.dimensions.items():
        named = _named(counts, words_of.get(sources.get(name, ""), {}), drawing)
        parts.append(drawing.by_name(f"dimension-{name}", name, N_("Value"), named, _GROUPS))
    return parts


def _named(
    counts: Mapping[str, QualityCounts], words: Mapping[str, str], drawing: Drawing
) -> Mapping[str, Mapping[str, int]]:
    rest = {one: drawing.text(told) for one, told in _REST.items()}
    labels = labels_of(counts, lambda name: words.get(name) or rest.get(name, name))
    return {labels[name]: _counted(one) for name, one in counts.items()}


def _counted(counts: QualityCounts) -> Mapping[str, int]:
    return {_GOOD: counts.good, _POOR: counts.poor, _UNCLASSIFIED: counts.unclassified}
