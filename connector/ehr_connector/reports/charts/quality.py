"""The page of call quality: how well calls worked, and where they did not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ehr_connector.reports.charts.blocks import Drawing, Group
from ehr_connector.reports.charts.drawing import Tone
from ehr_connector.reports.quality.ports import OTHER, UNKNOWN, PoorBecause, QualityCounts, QualitySummary
from ehr_connector.reports.web.views import Block, Figure
from ehr_connector.visits.events import Side
from ehr_connector.web.locales import N_

BECAUSE: Mapping[PoorBecause, str] = {
    PoorBecause.JITTER: N_("Jitter"),
    PoorBecause.ROUND_TRIP: N_("Slow connection (round trip)"),
    PoorBecause.PACKET_LOSS: N_("Lost packets"),
    PoorBecause.CONCEALED_AUDIO: N_("Gaps in the sound"),
    PoorBecause.FRAME_RATE: N_("Too few pictures a second"),
}
_NAMES: Mapping[str, str] = {
    Side.PATIENT: N_("Patient's side"),
    Side.PROVIDER: N_("Clinician's side"),
    "wired": N_("Cable"),
    "wifi": N_("Wi-Fi"),
    "mobile": N_("Mobile network"),
    "tunnel": N_("VPN"),
    UNKNOWN: N_("Unknown"),
    OTHER: N_("Other"),
}
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
        Figure(text(N_("Participations")), written.number(summary.legs.total)),
        Figure(text(N_("Poor participations")), written.percent(summary.legs.poor_rate)),
        Figure(text(N_("No figures")), written.number(calls.unclassified)),
    ]


def blocks(summary: QualitySummary, names: Mapping[str, str], drawing: Drawing) -> Sequence[Block]:
    """Return the pictures with their tables; `names` is what departments are called."""
    text = drawing.text
    because = {text(words): summary.because.get(one, 0) for one, words in BECAUSE.items()}
    departments = {names.get(name, name): _counted(one) for name, one in summary.by_department.items()}
    by_day = {day: _counted(one) for day, one in summary.by_day.items()}
    parts = [
        drawing.over_time("by-day", N_("Calls over time"), by_day, _GROUPS),
        drawing.plain("because", N_("What made them poor"), N_("Cause"), because, Tone.BAD, N_("Participations")),
        drawing.by_name("by-department", N_("Calls by department"), N_("Department"), departments, _GROUPS),
    ]
    for name, title, kind, counts in (
        ("by-side", N_("Participations by side"), N_("Side"), summary.by_side),
        ("by-network", N_("Participations by network"), N_("Network"), summary.by_network_kind),
        ("by-platform", N_("Participations by platform"), N_("Platform"), summary.by_platform),
    ):
        parts.append(drawing.by_name(name, title, kind, _named(counts, drawing), _GROUPS))
    parts += [
        drawing.by_name(f"dimension-{name}", name, N_("Value"), _named(counts, drawing), _GROUPS)
        for name, counts in summary.dimensions.items()
    ]
    return parts


def _named(counts: Mapping[str, QualityCounts], drawing: Drawing) -> Mapping[str, Mapping[str, int]]:
    return {drawing.text(_NAMES.get(name, name)): _counted(one) for name, one in counts.items()}


def _counted(counts: QualityCounts) -> Mapping[str, int]:
    return {_GOOD: counts.good, _POOR: counts.poor, _UNCLASSIFIED: counts.unclassified}
