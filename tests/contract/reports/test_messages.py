"""What reports tell of messages: Microsoft's nine statuses from the provider's codes, and our reasons for not sending."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from contract.reports.plans import explained, plans
from contract.reports.plays import Theatre
from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.notify.answers.delivery import of_email, of_text
from ehr_connector.notify.decision import Reason
from ehr_connector.reports.message_statuses import STATUS_OF_REASON
from ehr_connector.reports.ports import Filters, MessageStatus
from ehr_connector.store.deliveries import Deliveries, Report
from ehr_connector.store.send_state import State
from ehr_connector.store.sends import Claim, Message, Sends

NINE = set(MessageStatus) - {MessageStatus.UNCONFIRMED, MessageStatus.PENDING, MessageStatus.NOT_SENT}
_A_DAY = timedelta(days=1)
SENDER = "+18335550100"
TEXTS = {
    "2000: No Error": MessageStatus.SENT,
    "4000: Fraud": MessageStatus.SPAM_DETECTED,
    "4001: Bad sender": MessageStatus.OTHER_ERROR,
    "4002: Bad number": MessageStatus.INVALID_NUMBER,
    "4003: Unsupported": MessageStatus.RECIPIENT_BLOCKED,
    "4004: No such number": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "4005: Blocked": MessageStatus.BLOCKED_NUMBER,
    "4006: Unreachable": MessageStatus.UNREACHABLE_NUMBER,
    "4007: Opted out": MessageStatus.OPTED_OUT,
    "4010: Not verified": MessageStatus.OTHER_ERROR,
    "5001": MessageStatus.OTHER_ERROR,
    "no code at all": MessageStatus.OTHER_ERROR,
}
EMAILS = {
    "Delivered": MessageStatus.SENT,
    "Bounced": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "Suppressed": MessageStatus.RECIPIENT_BLOCKED,
    "FilteredSpam": MessageStatus.SPAM_DETECTED,
    "Quarantined": MessageStatus.SPAM_DETECTED,
    "Failed": MessageStatus.OTHER_ERROR,
}


def message(
    visit: str = "v", number: int = 0, channel: str = "sms", namespace: str = "lamna", endpoint: str = "north"
) -> Message:
    return Message(
        digest=f"{visit} {number}".ljust(43, "d"),
        visit=visit,
        namespace=namespace,
        name="organization",
        endpoint=endpoint,
        occasion="reminder",
        channel=channel,
    )


async def claimed(engine: AsyncEngine, clock: Clock, what: Message) -> Claim:
    claim = await Sends(engine, clock).claim(what)
    assert claim is not None
    return claim


async def accepted(engine: AsyncEngine, clock: Clock, what: Message) -> str:
    claim = await claimed(engine, clock, what)
    await Sends(engine, clock).address(claim, "p" * 43, SENDER)
    message_id = f"Outgoing {what.digest}"
    await Sends(engine, clock).end(claim, State.ACCEPTED, message_id=message_id)
    return message_id


async def statuses(theatre: Theatre) -> list[tuple[MessageStatus, str | None, int]]:
    summary = await theatre.queries.message_summary(theatre.reader, theatre.always)
    assert summary.total == sum(one.count for one in summary.counts)
    rows = [row async for row in theatre.queries.messages(theatre.reader, theatre.always)]
    assert len(rows) == summary.total
    return [(one.status, one.reason, one.count) for one in summary.counts]


def test_each_of_the_nine_statuses_has_a_code() -> None:
    reachable = {*STATUS_OF_REASON.values(), MessageStatus.SENT, MessageStatus.OTHER_ERROR}
    assert reachable == NINE == {*TEXTS.values()}
    assert len(NINE) == 9


@pytest.mark.parametrize(("channel", "told"), [("sms", TEXTS), ("email", EMAILS)])
async def test_what_the_provider_reports_is_one_status(
    theatre: Theatre, clock: Clock, channel: str, told: Mapping[str, MessageStatus]
) -> None:
    for number, report in enumerate(told):
        message_id = await accepted(theatre.engine, clock, message(f"{number}", channel=channel))
        fate = of_email(report) if channel == "email" else of_text(_delivery_status(report), report)
        assert fate is not None
        await Deliveries(theatre.engine, clock).write(Report(message_id, fate.state, fate.reason, clock()))
    rows = [row async for row in theatre.queries.messages(theatre.reader, theatre.always)]
    found = {int(row.visit): row.status for row in rows}
    assert [found[number] for number in range(len(told))] == [*told.values()]
    counted: Counter[MessageStatus] = Counter()
    for status, _, count in await statuses(theatre):
        counted[status] += count
    assert counted == Counter(told.values())


async def test_a_delivery_report_is_found_by_indexes_and_not_by_reading_every_message(
    engine: AsyncEngine, clock: Clock
) -> None:
    told = Report("Outgoing 1", State.DELIVERED, "2000", clock(), tag="d" * 43)
    with explained(engine) as statements:
        await Deliveries(engine, clock).find(told)
        await Deliveries(engine, clock).write(told)
    assert len(statements) == 2
    for plan in await plans(engine, statements):
        assert "ix_send_request_id" in plan
        assert not re.search(r"SCAN send|Seq Scan", plan)


@pytest.mark.parametrize("zone", ["America/Chicago", "Pacific/Auckland", "Asia/Kathmandu", "Africa/Casablanca", "UTC"])
async def test_messages_are_counted_by_the_days_that_are_asked_for(theatre: Theatre, zone: str) -> None:
    """Around each change of the clocks, and at the edges of the days."""
    here = ZoneInfo(zone)
    first, last = date(2026, 2, 1), date(2026, 11, 30)
    midnights = [datetime.combine(first + timedelta(days=number), time(), here) for number in range(304)]
    near = [one for one in midnights if (one - _A_DAY).utcoffset() != (one + _A_DAY).utcoffset()]
    expected: Counter[date] = Counter()
    for midnight in (midnights[0], *near, midnights[-1]):
        for minutes in (-1, 0, 150):
            at = midnight.astimezone(UTC) + timedelta(minutes=minutes)
            clock = Clock()
            clock.pass_((at - clock()).total_seconds())
            await claimed(theatre.engine, clock, message(at.isoformat()))
            if first <= (day := at.astimezone(here).date()) <= last:
                expected[day] += 1
    summary = await theatre.queries.message_summary(theatre.reader, Filters.of_days(first, last, zone))
    assert {day: sum(counts.values()) for day, counts in summary.by_day.items()} == expected
    assert summary.total == expected.total()


def _delivery_status(details: str) -> str:
    return "Delivered" if details.startswith("2000") else "Failed"


async def test_what_was_not_sent_is_counted_by_reason_and_what_is_on_its_way_apart(
    theatre: Theatre, clock: Clock
) -> None:
    sends = Sends(theatre.engine, clock)
    for number, reason in enumerate((Reason.OPTED_OUT, Reason.OPTED_OUT, Reason.NO_PHONE)):
        claim = await claimed(theatre.engine, clock, message("not sent", number))
        await sends.end(claim, State.NOT_SENT, reason=reason.value)
    await accepted(theatre.engine, clock, message("accepted"))
    await claimed(theatre.engine, clock, message("claimed"))
    await sends.end(await claimed(theatre.engine, clock, message("unknown")), State.UNKNOWN)
    assert sorted(await statuses(theatre), key=lambda one: (one[0], one[1] or "")) == [
        (MessageStatus.NOT_SENT, "no_phone", 1),
        (MessageStatus.NOT_SENT, "opted_out", 2),
        (MessageStatus.PENDING, None, 1),
        (MessageStatus.UNCONFIRMED, None, 2),
    ]


async def test_a_message_tells_from_where_it_was_sent(theatre: Theatre, clock: Clock) -> None:
    await accepted(theatre.engine, clock, message("sent"))
    not_sent = await claimed(theatre.engine, clock, message("not sent"))
    await Sends(theatre.engine, clock).end(not_sent, State.NOT_SENT, reason=Reason.NO_PHONE.value)
    rows = [row async for row in theatre.queries.messages(theatre.reader, theatre.always)]
    assert {row.visit: row.sent_from for row in rows} == {"sent": SENDER, "not sent": None}


async def test_a_visit_counts_the_messages_that_the_provider_took(theatre: Theatre, clock: Clock) -> None:
    row = await theatre.play("whole")
    await theatre.refresher.refresh()
    await accepted(theatre.engine, clock, message(row.visit, 1))
    await accepted(theatre.engine, clock, message(row.visit, 2))
    await accepted(theatre.engine, clock, message(row.visit, 3, channel="email"))
    claim = await claimed(theatre.engine, clock, message(row.visit, 4))
    await Sends(theatre.engine, clock).end(claim, State.NOT_SENT, reason="no_phone")
    await claimed(theatre.engine, clock, message(row.visit, 5, channel="email"))
    (found,) = await theatre.rows()
    assert (found.sms_sent, found.emails_sent) == (2, 1)


async def test_an_environment_is_chosen_by_its_endpoints_without_a_look_at_each_visit(
    theatre: Theatre, clock: Clock
) -> None:
    for endpoint, environment in (("north", "Production"), ("south", "Test")):
        row = await theatre.play("whole", endpoint=endpoint, environment=environment)
        await accepted(theatre.engine, clock, message(row.visit, endpoint=endpoint))
    await accepted(theatre.engine, clock, message("of no known visit"))
    await theatre.refresher.refresh()
    filters = Filters(clock() - timedelta(hours=1), clock() + timedelta(hours=1), environments=["Production"])
    with explained(theatre.engine) as statements:
        assert (await theatre.queries.message_summary(theatre.reader, filters)).total == 2
    assert not [statement for statement, _ in statements if "JOIN" in statement]
    assert len([row async for row in theatre.queries.messages(theatre.reader, filters)]) == 2

    row = await theatre.play("whole", endpoint="north", environment="Test")
    await accepted(theatre.engine, clock, message(row.visit))
    await theatre.refresher.refresh()
    assert (await theatre.queries.message_summary(theatre.reader, filters)).total == 1


async def test_messages_are_filtered_by_what_their_visit_is(theatre: Theatre, clock: Clock) -> None:
    for department in ("cardiology", "paediatrics"):
        row = await theatre.play("whole", department=department)
        await accepted(theatre.engine, clock, message(row.visit))
    await accepted(theatre.engine, clock, message("of no known visit", endpoint="south"))
    await accepted(theatre.engine, clock, message("another's", namespace="fabrikam"))
    around = (clock() - timedelta(hours=1), clock() + timedelta(hours=1))
    chosen = {
        "all": Filters(*around),
        "department": Filters(*around, departments=["paediatrics"]),
        "endpoint": Filters(*around, endpoints=["south"]),
        "environment": Filters(*around, environments=["Production"]),
        "earlier": Filters(around[0] - timedelta(days=1), around[0]),
    }
    found: dict[str, int] = {}
    for name, filters in chosen.items():
        rows = [row async for row in theatre.queries.messages(theatre.reader, filters)]
        found[name] = (await theatre.queries.message_summary(theatre.reader, filters)).total
        assert len(rows) == found[name]
    assert found == {"all": 3, "department": 1, "endpoint": 1, "environment": 2, "earlier": 0}
