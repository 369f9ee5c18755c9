"""What the board says after a link was sent, or was not, and why."""

from __future__ import annotations

from collections.abc import Mapping

from ehr_connector.notify.decision import Reason
from ehr_connector.notify.sender import Outcome
from ehr_connector.web.locales import N_

_NOT_SENT: Mapping[Outcome | Reason, str] = {
    Outcome.BUSY: N_("The link is being sent already."),
    Outcome.EHR_UNAVAILABLE: N_("Not sent: the EHR does not answer. Try again in a minute."),
    Outcome.PROVIDER_UNAVAILABLE: N_(
        "Perhaps not sent: the message service does not answer. Try again: it is sent once."
    ),
    Outcome.RATE_LIMITED: N_(
        "Not sent: too many messages wait for this sender. Try again in a minute, or copy the link."
    ),
    Outcome.PROVIDER_REFUSED: N_("Not sent: the message service refused it. Copy the link instead."),
    Reason.INACTIVE: N_("Not sent: visits are not active at this endpoint."),
    Reason.DISABLED: N_("Not sent: your organization does not send such messages."),
    Reason.NO_CONSENT: N_("Not sent: your organization has not recorded its consent to text messages."),
    Reason.NO_SENDER: N_("Not sent: no sender is linked to this endpoint."),
    Reason.NO_PROVIDER: N_("Not sent: the message service is not set up."),
    Reason.VISIT_OVER: N_("Not sent: this visit is over."),
    Reason.RECORD_CLOSED: N_("Not sent: the EHR says that nobody is to write to this patient any more."),
    Reason.NO_PHONE: N_("Not sent: the EHR has no phone number of the patient."),
    Reason.NOT_MOBILE: N_("Not sent: none of the patient's phone numbers can take text messages."),
    Reason.NO_EMAIL: N_("Not sent: the EHR has no e-mail address of the patient."),
    Reason.NOT_ALLOWED_IN_TEST: N_(
        "Not sent: this is a test endpoint, and the patient is not on its list of recipients."
    ),
    Reason.OPTED_OUT: N_("Not sent: the patient wants no messages."),
    Reason.NO_PATIENT_CONSENT: N_("Not sent: the EHR has no consent of the patient to text messages."),
    Reason.PREFERS_ANOTHER_WAY: N_("Not sent: the patient prefers another way than text messages."),
    Reason.QUIET_HOURS: N_("Not sent: these are quiet hours, and the visit is not open yet."),
    Reason.OVER_DAILY_CAP: N_("Not sent: the patient has got as many messages as a day allows."),
    Reason.OVER_WEEKLY_CAP: N_("Not sent: the patient has got as many messages as a week allows."),
}
SENT = N_("The link was sent.")
PREFIX = "send-"


def notice_of(outcome: Outcome | Reason) -> str:
    """Return the name under which the board's address carries an outcome."""
    return f"{PREFIX}{outcome.value}"


NOTICES: Mapping[str, tuple[str, str]] = {
    notice_of(Outcome.SENT): (SENT, "good"),
    **{notice_of(outcome): (words, "warn") for outcome, words in _NOT_SENT.items()},
}
"""Words and kind of each notice, by its name."""
