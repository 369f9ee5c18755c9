"""The page of the audit log: the newest rows, and how often what was done. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from ehr_connector.audit import Action, Outcome
from ehr_connector.reports.charts.blocks import Drawing
from ehr_connector.reports.charts.drawing import Tone
from ehr_connector.reports.ports import AuditSummary
from ehr_connector.reports.web.views import Block, Figure, Table
from ehr_connector.web.locales import N_

SHOWN = 200
"""Rows on the page; the download has all."""
ACTIONS: Mapping[str, str] = {
    Action.CONFIGURED: N_("Configuration changed"),
    Action.DECONFIGURED: N_("Configuration removed"),
    Action.ACKNOWLEDGED: N_("Consents to texts given"),
    Action.PROMOTION_FORCED: N_("Promotion forced"),
    Action.LAUNCHED: N_("Launched from the EHR"),
    Action.SIGNED_IN: N_("Microsoft account connected"),
    Action.JOINED: N_("Clinician joined"),
    Action.CONSULTED: N_("Colleague consulted"),
    Action.SENT: N_("Link sent"),
    Action.GUEST_LINK_MADE: N_("Guest invited"),
    Action.GUEST_LINK_REVOKED: N_("Guest's link revoked"),
    Action.PATIENT_JOINED: N_("Patient joined"),
    Action.ERASED: N_("Account erased"),
    Action.EXPIRED: N_("Oldest rows removed"),
    Action.REPORTS_SIGNED_IN: N_("Signed in to the reports"),
}
OUTCOMES: Mapping[str, str] = {
    Outcome.SUCCESS: N_("Done"),
    Outcome.PROVIDER: N_("By a clinician"),
    Outcome.PATIENT: N_("By a patient"),
    Outcome.SMS: N_("Text message"),
    Outcome.EMAIL: N_("E-mail"),
    Outcome.COPY: N_("Link copied by the clinician"),
    Outcome.NOTHING: N_("There was nothing to do"),
    Outcome.REFUSED: N_("Refused"),
    Outcome.FAILED: N_("Failed"),
}
EMPTY = (
    N_("Nothing was recorded in this time."),
    N_(
        "Changes of the configuration, launches, joins and links that a clinician sends are recorded the moment they happen; messages"
        " that go out by themselves stand in the report of messages. Choose more days."
    ),
)


def figures(told: AuditSummary, drawing: Drawing) -> Sequence[Figure]:
    """Return the numbers at the top."""
    return [
        Figure(drawing.text(N_("Recorded actions")), drawing.written.number(told.total)),
        Figure(
            drawing.text(N_("Not successful")),
            drawing.written.number(told.not_successful),
        ),
    ]


def blocks(told: AuditSummary, drawing: Drawing, zone: str) -> Sequence[Block]:
    """Return the counts and the newest rows. Actors and objects are opaque: the audit log knows no more itself."""
    text = drawing.text
    counts = {text(ACTIONS.get(action, action)): count for action, count in told.by_action.items()}
    rows = [
        [
            str(row.number),
            drawing.written.moment(row.happened_at.astimezone(ZoneInfo(zone))),
            text(ACTIONS.get(row.action, row.action)),
            text(OUTCOMES.get(row.outcome, row.outcome)),
            row.actor,
            row.object,
        ]
        for row in told.newest
    ]
    columns = (N_("Number"), N_("When"), N_("Action"), N_("Outcome"), N_("Who"), N_("What"))
    hint = text(N_("The newest rows. The download has all, each chained to the one before."))
    return [
        drawing.plain("by-action", N_("What was done"), N_("Action"), counts, Tone.ACCENT, N_("Times")),
        Block("log", text(N_("Audit log")), Table([text(one) for one in columns], rows, numbers_from=99), hint=hint),
    ]
