"""Every reason for which a message is not sent, alone and before the ones that come after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from ehr_api.v1alpha1.messages import QuietHours, SmsCaps, SmsConsent
from ehr_connector.notify.decision import Facts, Reason, decide
from ehr_connector.notify.quiet import is_quiet
from ehr_connector.notify.recipient import Unreachable
from ehr_connector.visits.events import Channel

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 4, tzinfo=UTC)
"""In Chicago: 22:00."""
CONSENT = SmsConsent(send_on_behalf_of_organization=True, attendees_have_consented=True)
FINE = Facts(
    channel=Channel.SMS,
    now=NOON,
    zones=("America/Chicago",),
    until=NOON + timedelta(days=2),
    is_open=False,
    active=True,
    enabled=True,
    consent=CONSENT,
    sender="+18005550100",
    has_provider=True,
    is_test=False,
    recipient="+18165550101",
    on_test_list=False,
    opted_out=False,
    sent_today=0,
    sent_this_week=0,
)
AGAINST: dict[Reason, dict[str, Any]] = {
    Reason.INACTIVE: {"active": False},
    Reason.DISABLED: {"enabled": False},
    Reason.NO_CONSENT: {"consent": SmsConsent(send_on_behalf_of_organization=True)},
    Reason.NO_SENDER: {"sender": None},
    Reason.NO_PROVIDER: {"has_provider": False},
    Reason.VISIT_OVER: {"until": NOON},
    Reason.NOT_ALLOWED_IN_TEST: {"is_test": True},
    Reason.OPTED_OUT: {"opted_out": True},
    Reason.QUIET_HOURS: {"now": NIGHT},
    Reason.OVER_DAILY_CAP: {"sent_today": 4},
    Reason.OVER_WEEKLY_CAP: {"sent_this_week": 10},
}
"""In the order in which they are told; each with what makes it true."""


def test_a_message_against_which_nothing_speaks_is_sent() -> None:
    assert decide(FINE) is None
    assert decide(replace(FINE, is_test=True, on_test_list=True)) is None


@pytest.mark.parametrize("reason", AGAINST)
def test_each_reason_alone_is_enough(reason: Reason) -> None:
    assert decide(replace(FINE, **AGAINST[reason])) is reason


@pytest.mark.parametrize(("first", "second"), [*combinations(AGAINST, 2)])
def test_of_two_reasons_the_earlier_one_is_told(first: Reason, second: Reason) -> None:
    both = {**AGAINST[second], **AGAINST[first]}
    if first is Reason.VISIT_OVER and second is Reason.QUIET_HOURS:
        both["now"] = NIGHT
    assert decide(replace(FINE, **both)) is first


@pytest.mark.parametrize("why", Unreachable)
def test_a_patient_who_cannot_be_reached_is_told_before_anything_of_the_patient(why: Unreachable) -> None:
    facts = replace(FINE, recipient=why, is_test=True, opted_out=True, sent_today=9)
    assert decide(facts) is Reason(why.value)


@pytest.mark.parametrize(
    "consent",
    [
        None,
        SmsConsent(),
        SmsConsent(send_on_behalf_of_organization=True, attendees_have_consented=False),
        SmsConsent(attendees_have_consented=True),
    ],
)
def test_a_text_needs_both_consents(consent: SmsConsent | None) -> None:
    assert decide(replace(FINE, consent=consent)) is Reason.NO_CONSENT


def test_an_email_needs_neither_consents_for_texts_nor_waking_hours_nor_caps() -> None:
    facts = replace(FINE, channel=Channel.EMAIL, consent=None, now=NIGHT, sent_today=99, sent_this_week=99)
    assert decide(facts) is None
    assert decide(replace(facts, is_test=True)) is Reason.NOT_ALLOWED_IN_TEST
    assert decide(replace(facts, opted_out=True)) is Reason.OPTED_OUT


def test_a_link_for_a_visit_that_is_open_is_sent_at_any_hour() -> None:
    assert decide(replace(FINE, now=NIGHT, is_open=True)) is None


def test_the_organisations_caps_stand_before_the_usual_ones() -> None:
    facts = replace(FINE, caps=SmsCaps(per_day=1, per_week=2))
    assert decide(replace(facts, sent_today=1)) is Reason.OVER_DAILY_CAP
    assert decide(replace(facts, sent_this_week=2)) is Reason.OVER_WEEKLY_CAP
    assert decide(replace(facts, sent_this_week=1)) is None


@pytest.mark.parametrize(
    ("clock", "start", "end", "quiet"),
    [
        ("20:59", "21:00", "08:00", False),
        ("21:00", "21:00", "08:00", True),
        ("07:59", "21:00", "08:00", True),
        ("08:00", "21:00", "08:00", False),
        ("12:00", "12:00", "13:00", True),
        ("13:00", "12:00", "13:00", False),
        ("12:00", "12:00", "12:00", False),
    ],
)
def test_quiet_hours_are_those_of_the_clinics_clocks(clock: str, start: str, end: str, quiet: bool) -> None:
    hour, minute = map(int, clock.split(":"))
    now = datetime(2026, 11, 23, hour, minute, tzinfo=UTC) + timedelta(hours=6)
    assert is_quiet(now, "America/Chicago", QuietHours(start=start, end=end)) is quiet


def test_quiet_hours_follow_a_change_of_the_clocks() -> None:
    before = datetime(2026, 10, 31, 13, tzinfo=UTC)  # 8:00 in Chicago, summer
    after = datetime(2026, 11, 1, 13, tzinfo=UTC)  # 7:00, winter
    assert [is_quiet(at, "America/Chicago", None) for at in (before, after)] == [False, True]
