"""Whether a message may be sent now, and if not, why: one pure function over everything that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ehr_api.v1alpha1.messages import PatientPreference, QuietHours, SmsCaps, SmsConsent
from ehr_connector.notify.quiet import is_quiet_somewhere
from ehr_connector.notify.recipient import Unreachable, Wish
from ehr_connector.visits.events import Channel

PER_DAY, PER_WEEK = 4, 10
"""What holds where the organisation says nothing."""


class Reason(StrEnum):
    """Why a message is not sent. The first one that holds is told."""

    INACTIVE = "inactive"
    """The endpoint is suspended, or not validated or promoted."""
    DISABLED = "disabled"
    """The organisation does not send this kind of message."""
    NO_CONSENT = "no_consent"
    """One of the organisation's two consents is missing."""
    NO_SENDER = "no_sender"
    """No number is linked to the endpoint, or it is not verified; or there is no sender's address."""
    NO_PROVIDER = "no_provider"
    """The connector has no credential for Communication Services, or does not trust the address."""
    VISIT_OVER = "visit_over"
    RECORD_CLOSED = "record_closed"
    """The EHR's record of the patient says that nobody is to be written to any more."""
    NO_PHONE = "no_phone"
    NOT_MOBILE = "not_mobile"
    NO_EMAIL = "no_email"
    NOT_ALLOWED_IN_TEST = "not_allowed_in_test"
    """A Test endpoint, and the recipient is not on its list."""
    OPTED_OUT = "opted_out"
    NO_PATIENT_CONSENT = "no_patient_consent"
    """The organisation asks for the patient's own consent in the EHR, and there is none."""
    PREFERS_ANOTHER_WAY = "prefers_another_way"
    """The EHR says that the patient wants to be reminded in another way than by text."""
    QUIET_HOURS = "quiet_hours"
    OVER_DAILY_CAP = "over_daily_cap"
    OVER_WEEKLY_CAP = "over_weekly_cap"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision is made from."""

    channel: Channel
    now: datetime
    zones: Sequence[str]
    """Time zones whose clocks count for quiet hours: the clinic's, and those in which the recipient may be."""
    until: datetime
    """From when on it is of no use: the end of the visit's link; of what the planner sends, the visit's end or its start."""
    is_open: bool
    """Whether the visit can be joined now: then a link is awaited, whatever the hour."""
    active: bool
    enabled: bool
    consent: SmsConsent | None
    sender: str | None
    has_provider: bool
    is_test: bool
    recipient: str | Unreachable
    on_test_list: bool
    opted_out: bool
    sent_today: int
    sent_this_week: int
    automatic: bool = False
    """Whether the planner sends it; else somebody who talks to the patient does."""
    is_closed: bool = False
    """Whether the EHR's record of the patient is closed."""
    wish: Wish = Wish.UNKNOWN
    caps: SmsCaps | None = None
    quiet_hours: QuietHours | None = None


def decide(facts: Facts) -> Reason | None:
    """Return None when the message may be sent, or the first reason against it."""
    return against_set_up(facts) or _of_recipient(facts) or (_of_texts(facts) if facts.channel is Channel.SMS else None)


def against_set_up(facts: Facts) -> Reason | None:
    """Return what in the set-up speaks against any message, whoever the patient is."""
    is_sms = facts.channel is Channel.SMS
    if not facts.active:
        return Reason.INACTIVE
    if not facts.enabled:
        return Reason.DISABLED
    if is_sms and not both_consents(facts.consent):
        return Reason.NO_CONSENT
    if facts.sender is None:
        return Reason.NO_SENDER
    if not facts.has_provider:
        return Reason.NO_PROVIDER
    if facts.now >= facts.until:
        return Reason.VISIT_OVER
    return None


def _of_recipient(facts: Facts) -> Reason | None:
    if facts.is_closed:
        return Reason.RECORD_CLOSED
    if isinstance(facts.recipient, Unreachable):
        return Reason(facts.recipient.value)
    if facts.is_test and not facts.on_test_list:
        return Reason.NOT_ALLOWED_IN_TEST
    return Reason.OPTED_OUT if facts.opted_out else None


def _of_texts(facts: Facts) -> Reason | None:
    policy = facts.consent.patient_preference if facts.consent else None
    if policy is PatientPreference.REQUIRED and facts.wish is not Wish.TEXT:
        return Reason.NO_PATIENT_CONSENT
    if policy is not PatientPreference.IGNORED and facts.automatic and facts.wish is Wish.ANOTHER:
        return Reason.PREFERS_ANOTHER_WAY
    if not facts.is_open and is_quiet_somewhere(facts.now, facts.zones, facts.quiet_hours):
        return Reason.QUIET_HOURS
    caps = facts.caps
    if facts.sent_today >= ((caps.per_day if caps else None) or PER_DAY):
        return Reason.OVER_DAILY_CAP
    if facts.sent_this_week >= ((caps.per_week if caps else None) or PER_WEEK):
        return Reason.OVER_WEEKLY_CAP
    return None


def both_consents(consent: SmsConsent | None) -> bool:
    """Return whether the organisation has given both of its consents to texts."""
    return (
        consent is not None
        and consent.send_on_behalf_of_organization is True
        and consent.attendees_have_consented is True
    )


DAY, WEEK = timedelta(days=1), timedelta(days=7)
"""The windows of the caps."""
