"""The whole table of the decision: for every combination of facts, the first rule that holds tells the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

from ehr_api.v1alpha1.messages import PatientPreference, SmsConsent
from ehr_connector.notify.decision import Facts, Reason, decide
from ehr_connector.notify.recipient import Unreachable, Wish
from ehr_connector.visits.events import Channel

NOON, NIGHT = datetime(2026, 11, 23, 18, tzinfo=UTC), datetime(2026, 11, 24, 4, tzinfo=UTC)
"""12:00 and 22:00 in Chicago."""
PHONE = "+18165550101"
YES_OR_NO = (True, False)
DAY_ELSEWHERE, NIGHT_ELSEWHERE = ("America/New_York",), ("America/Los_Angeles", "Asia/Kolkata")
"""At noon in Chicago: 13:00; 10:00 and 23:30."""


@dataclass(frozen=True)
class Case:
    """One combination, in plain words."""

    text: bool = True
    active: bool = True
    enabled: bool = True
    first_box: bool = True
    second_box: bool = True
    sender: bool = True
    provider: bool = True
    over: bool = False
    closed: bool = False
    recipient: str | Unreachable = PHONE
    test: bool = False
    listed: bool = False
    opted_out: bool = False
    policy: PatientPreference | None = None
    wish: Wish = Wish.UNKNOWN
    automatic: bool = True
    night: bool = False
    elsewhere: tuple[str, ...] = ()
    """Zones of the phone."""
    open: bool = False
    day_full: bool = False
    week_full: bool = False


RULES: list[tuple[Callable[[Case], bool], Reason]] = [
    # The set-up, whoever the patient is.
    (lambda one: not one.active, Reason.INACTIVE),
    (lambda one: not one.enabled, Reason.DISABLED),
    (lambda one: one.text and not (one.first_box and one.second_box), Reason.NO_CONSENT),
    (lambda one: not one.sender, Reason.NO_SENDER),
    (lambda one: not one.provider, Reason.NO_PROVIDER),
    (lambda one: one.over, Reason.VISIT_OVER),
    # The patient.
    (lambda one: one.closed, Reason.RECORD_CLOSED),
    (lambda one: one.recipient is Unreachable.NO_PHONE, Reason.NO_PHONE),
    (lambda one: one.recipient is Unreachable.NOT_MOBILE, Reason.NOT_MOBILE),
    (lambda one: one.recipient is Unreachable.NO_EMAIL, Reason.NO_EMAIL),
    (lambda one: one.test and not one.listed, Reason.NOT_ALLOWED_IN_TEST),
    (lambda one: one.opted_out, Reason.OPTED_OUT),
    # Texts alone.
    (lambda one: one.text and one.policy == "Required" and one.wish != "text", Reason.NO_PATIENT_CONSENT),
    (
        lambda one: one.text and one.policy in {None, "Respected"} and one.wish == "another" and one.automatic,
        Reason.PREFERS_ANOTHER_WAY,
    ),
    (lambda one: one.text and (one.night or one.elsewhere == NIGHT_ELSEWHERE) and not one.open, Reason.QUIET_HOURS),
    (lambda one: one.text and one.day_full, Reason.OVER_DAILY_CAP),
    (lambda one: one.text and one.week_full, Reason.OVER_WEEKLY_CAP),
]


def expected(case: Case) -> Reason | None:
    return next((reason for holds, reason in RULES if holds(case)), None)


def facts(case: Case) -> Facts:
    now = NIGHT if case.night else NOON
    return Facts(
        channel=Channel.SMS if case.text else Channel.EMAIL,
        now=now,
        zones=("America/Chicago", *case.elsewhere),
        until=now if case.over else now + timedelta(hours=1),
        is_open=case.open,
        active=case.active,
        enabled=case.enabled,
        consent=SmsConsent(
            send_on_behalf_of_organization=case.first_box,
            attendees_have_consented=case.second_box,
            patient_preference=case.policy,
        ),
        sender="+18005550100" if case.sender else None,
        has_provider=case.provider,
        is_test=case.test,
        recipient=case.recipient,
        on_test_list=case.listed,
        opted_out=case.opted_out,
        sent_today=4 if case.day_full else 3,
        sent_this_week=10 if case.week_full else 9,
        automatic=case.automatic,
        is_closed=case.closed,
        wish=case.wish,
    )


def of_the_set_up() -> Iterator[Case]:
    names = ("text", "active", "enabled", "first_box", "second_box", "sender", "provider", "over", "closed")
    for values in product(YES_OR_NO, repeat=len(names)):
        yield Case(**dict(zip(names, values, strict=True)))


def of_the_patient() -> Iterator[Case]:
    for recipient, policy, wish in product((PHONE, *Unreachable), (None, *PatientPreference), Wish):
        names = ("text", "closed", "test", "listed", "opted_out", "automatic", "night", "open", "day_full", "week_full")
        for values in product(YES_OR_NO, repeat=len(names)):
            given = dict(zip(names, values, strict=True))
            for elsewhere in ((), DAY_ELSEWHERE, NIGHT_ELSEWHERE) if recipient == PHONE else ((),):
                yield Case(recipient=recipient, policy=policy, wish=wish, elsewhere=elsewhere, **given)


def wrong(cases: Iterator[Case]) -> list[tuple[dict[str, object], Reason | None]]:
    return [(asdict(case), found) for case in cases if (found := decide(facts(case))) is not expected(case)][:3]


def test_every_combination_of_the_set_up_has_its_reason() -> None:
    assert wrong(of_the_set_up()) == []


def test_every_combination_of_what_is_known_of_a_patient_has_its_reason() -> None:
    assert wrong(of_the_patient()) == []


def test_every_reason_is_in_the_table_and_every_rule_decides_something() -> None:
    told = {expected(case) for cases in (of_the_set_up(), of_the_patient()) for case in cases}
    assert told == {None, *Reason} == {None, *(reason for _, reason in RULES)}
