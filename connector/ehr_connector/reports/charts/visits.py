"""The page of consumption: what was used, and how it went. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from ehr_connector.reports.charts.blocks import Drawing, Group
from ehr_connector.reports.charts.drawing import Tone
from ehr_connector.reports.ports import BroughtBy, VisitStatus, VisitSummary, Waits
from ehr_connector.reports.web.views import Block, Figure, labels_of
from ehr_connector.web.locales import N_

STATUSES: Mapping[VisitStatus, str] = {
    VisitStatus.COMPLETED: N_("Completed"),
    VisitStatus.NO_SHOW_PATIENT: N_("The patient did not come"),
    VisitStatus.NO_SHOW_PROVIDER: N_("The clinician did not come"),
    VisitStatus.NO_SHOW_BOTH: N_("Nobody came"),
    VisitStatus.HALF_JOINED: N_("Both came, at different times"),
    VisitStatus.TECHNICAL_FAILURE: N_("Technical failure"),
    VisitStatus.CANCELLED_LATE: N_("Cancelled late"),
    VisitStatus.CANCELLED: N_("Cancelled"),
    VisitStatus.IN_PROGRESS: N_("In progress"),
    VisitStatus.SCHEDULED: N_("Still to come"),
}
CHANNELS: Mapping[BroughtBy, str] = {
    BroughtBy.SMS: N_("Text message"),
    BroughtBy.EMAIL: N_("E-mail"),
    BroughtBy.COPY: N_("Link copied by the clinician"),
    BroughtBy.EHR: N_("Link in the EHR or its portal"),
    BroughtBy.NONE: N_("Link not used"),
}
_GROUPS = (
    Group(N_("Completed"), Tone.GOOD, frozenset({VisitStatus.COMPLETED})),
    Group(
        N_("No show"),
        Tone.BAD,
        frozenset({VisitStatus.NO_SHOW_PATIENT, VisitStatus.NO_SHOW_PROVIDER, VisitStatus.NO_SHOW_BOTH}),
    ),
    Group(N_("Did not meet"), Tone.WARN, frozenset({VisitStatus.HALF_JOINED, VisitStatus.TECHNICAL_FAILURE})),
    Group(N_("Cancelled"), Tone.MUTED, frozenset({VisitStatus.CANCELLED, VisitStatus.CANCELLED_LATE})),
    Group(N_("Still to come"), Tone.SOFT, frozenset({VisitStatus.SCHEDULED, VisitStatus.IN_PROGRESS})),
)
_MINUTE_S = 60
EMPTY = (
    N_("No visit was booked for this time."),
    N_(
        "A visit stands here from the moment it is booked in the EHR as a video visit at an endpoint that is ready. Choose more"
        " days, or take the filters back."
    ),
)


def figures(summary: VisitSummary, drawing: Drawing) -> Sequence[Figure]:
    """Return the numbers at the top."""
    written, text = drawing.written, drawing.language.text
    completed = summary.by_status.get(VisitStatus.COMPLETED, 0)
    waits = summary.waits
    longest = text(N_("9 of 10 within %(p90)s"), p90=written.duration(waits.p90_s)) if waits.count else None
    return [
        Figure(drawing.text(N_("Visits")), written.number(summary.total)),
        Figure(drawing.text(N_("Completed")), written.number(completed)),
        Figure(
            drawing.text(N_("No-show rate")),
            written.percent(summary.no_show_rate),
            drawing.text(N_("of the visits that were due")),
        ),
        Figure(drawing.text(N_("Wait in the lobby")), written.duration(waits.p50_s), longest),
        Figure(
            drawing.text(N_("Length of a visit")),
            written.duration(summary.duration_s / completed if completed else None),
            drawing.text(N_("on average")),
        ),
    ]


def blocks(summary: VisitSummary, names: Mapping[str, str], drawing: Drawing) -> Sequence[Block]:
    """Return the pictures with their tables; `names` is what departments are called."""
    text = drawing.text
    statuses = {text(words): summary.by_status.get(status, 0) for status, words in STATUSES.items()}
    channels = {text(words): summary.by_channel.get(channel, {}) for channel, words in CHANNELS.items()}
    labels = labels_of(summary.by_department, lambda name: names.get(name, name))
    departments = {labels[name]: counts for name, counts in summary.by_department.items()}
    return [
        drawing.over_time("by-day", N_("Visits over time"), summary.by_day, _GROUPS),
        drawing.plain("by-status", N_("How visits went"), N_("Status"), statuses, Tone.ACCENT, N_("Visits")),
        drawing.by_name("by-department", N_("Visits by department"), N_("Department"), departments, _GROUPS),
        drawing.by_name("by-channel", N_("What brought the patient"), N_("Way"), channels, _GROUPS),
        drawing.by_name("by-endpoint", N_("Visits by endpoint"), N_("Endpoint"), summary.by_endpoint, _GROUPS),
        _waits(summary.waits_by_day, drawing),
    ]


def _waits(by_day: Mapping[date, Waits], drawing: Drawing) -> Block:
    half = {day: waits.p50_s for day, waits in by_day.items()}
    most = {day: waits.p90_s for day, waits in by_day.items()}
    return drawing.lines(
        "waits",
        N_("Wait in the lobby, in minutes"),
        [
            (N_("Half of the patients waited at most"), Tone.ACCENT, half),
            (N_("9 of 10 waited at most"), Tone.WARN, most),
        ],
        drawing.written.duration,
        axis=lambda seconds: seconds / _MINUTE_S,
    )
