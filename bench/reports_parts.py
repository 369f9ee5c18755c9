"""What belongs to the made-up visits of `reports_month.py`: calls, as Microsoft Graph's records, and messages with their reports.

Call records are the stand-in's; reports of messages have the shape of Event Grid. Both are read as the connector reads them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncConnection

from ehr_clients.call_records import CallParticipant, Session
from ehr_connector.notify.answers.delivery import Fate, of_email, of_text
from ehr_connector.notify.answers.provider_events import EmailReported, TextReported, read
from ehr_connector.reports.ports import MessageStatus
from ehr_connector.reports.quality.extraction import Leg, legs_of
from ehr_connector.store.deliveries import Deliveries, Report
from ehr_connector.store.quality import Quality
from ehr_connector.store.send_state import State
from ehr_connector.store.sends import Message, Sends
from ehr_connector.store.visits import VisitRow
from ehr_sandbox.graph.meeting import Call, Meeting, Participant
from ehr_sandbox.graph.records.record import CallRecord

CLINICIAN = "11111111-2222-3333-4444-555555555553"
SENDER = "+18335550100"
_TOPIC = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Communication/CommunicationServices/lamna"
_JITTER_LIMIT_S = 0.030
_POOR = 0.1
_ENDS = {"delivered": 90, "failed": 5, "accepted": 2, "not_sent": 3}
_TEXT_FAILURES = {
    "4002": MessageStatus.INVALID_NUMBER,
    "4004": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "4005": MessageStatus.BLOCKED_NUMBER,
    "4006": MessageStatus.UNREACHABLE_NUMBER,
    "4007": MessageStatus.OPTED_OUT,
    "5001": MessageStatus.OTHER_ERROR,
}
_EMAIL_FAILURES = {
    "Bounced": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "FilteredSpam": MessageStatus.SPAM_DETECTED,
    "Failed": MessageStatus.OTHER_ERROR,
}


@dataclass(frozen=True, slots=True)
class MadeCall:
    """The legs of a visit's call, and what is to come of it."""

    legs: Sequence[Leg]
    is_poor: bool


@dataclass(frozen=True, slots=True)
class MadeMessage:
    """A message, and what is to come of it."""

    message: Message
    sent_at: datetime
    state: State
    event: str | None
    """What Event Grid tells of it."""
    status: MessageStatus


class OneTransaction:
    """Stands for the engine, so that many small transactions of the connector's cost the disk one."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def execution_options(self, **_options: Any) -> Self:
        """Return the same, as for transactions that only read."""
        return self

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        """Give the one connection."""
        yield self._connection

    connect = begin


def made_call(visit: str, tenant: str, start: datetime, end: datetime, people: int, random: Random) -> MadeCall:
    """Return the call of a clinician and others, as its record tells it."""
    others = [
        Participant(f"{visit} {number}", "Somebody", None, start, in_lobby=False, admitted=start)
        for number in range(people - 1)
    ]
    clinician = Participant(f"{visit} c", "Clinician", CLINICIAN, start, in_lobby=False, admitted=start)
    meeting = Meeting(tenant, CLINICIAN, "https://graph.example", visit, start, start, end)
    call = Call(visit, start, [clinician, *others])
    record = CallRecord(meeting, call, end, end, "poor" if random.random() < _POOR else "good")
    told = json.loads(json.dumps(record.sessions(segments=True)))
    sessions = [Session.model_validate(one) for one in told]
    participants = [CallParticipant.model_validate(one) for one in record.participants()]
    return MadeCall(legs_of(sessions, participants, tenant), any(_is_poor(one) for one in told))


def made_message(row: VisitRow, channel: str, digest: str, random: Random) -> MadeMessage:
    """Return the reminder of a visit, as it is sent and reported."""
    message = Message(digest, row.visit, row.namespace, row.name, row.endpoint, "reminder", channel)
    sent_at = row.starts_at - timedelta(hours=10)
    end = random.choices(list(_ENDS), list(_ENDS.values()))[0]
    if end == "not_sent":
        return MadeMessage(message, sent_at, State.NOT_SENT, None, MessageStatus.NOT_SENT)
    if end == "accepted":
        return MadeMessage(message, sent_at, State.ACCEPTED, None, MessageStatus.UNCONFIRMED)
    failures = _TEXT_FAILURES if channel == "sms" else _EMAIL_FAILURES
    word = random.choice(list(failures)) if end == "failed" else None
    event = _text_event(digest, sent_at, word) if channel == "sms" else _email_event(digest, sent_at, word)
    return MadeMessage(message, sent_at, State.ACCEPTED, event, failures[word] if word else MessageStatus.SENT)


async def put_call(connection: AsyncConnection, name: str, row: VisitRow, made: MadeCall) -> None:
    """Keep a call as the worker does that has fetched its record."""
    quality = Quality(OneTransaction(connection))  # pyright: ignore[reportArgumentType] (stands for the engine)
    await quality.put(name, 1, row, row.starts_at.date(), made.legs, _nothing)


async def send_message(connection: AsyncConnection, made: MadeMessage) -> None:
    """Claim, send and end a message as the worker does, and take in what the provider tells of it."""
    engine: Any = OneTransaction(connection)
    now: Callable[[], datetime] = lambda: made.sent_at  # noqa: E731 (one clock for both)
    sends, deliveries = Sends(engine, now), Deliveries(engine, now)
    claim = await sends.claim(made.message)
    if claim is None:
        raise RuntimeError("a message was claimed twice")
    if made.state is State.NOT_SENT:
        await sends.end(claim, State.NOT_SENT, reason="no_phone")
        return
    await sends.address(claim, made.message.digest, SENDER)
    await sends.end(claim, State.ACCEPTED, message_id=made.message.digest)
    if made.event is None:
        return
    told = read(made.event, made.sent_at)
    fate: Fate | None = None
    if isinstance(told, TextReported):
        fate = of_text(told.status, told.details)
    elif isinstance(told, EmailReported):
        fate = of_email(told.status)
    if fate is None or told is None:
        raise RuntimeError("a report says nothing")
    await deliveries.write(Report(told.message_id, fate.state, fate.reason, told.at))


def _is_poor(session: dict[str, Any]) -> bool:
    """Return what the wire says, by the one limit that the stand-in's figures go beyond."""
    jitters = [
        float(stream["averageJitter"].removeprefix("PT").removesuffix("S"))
        for segment in session["segments"]
        for media in segment["media"]
        if media["label"] == "main-audio"
        for stream in media["streams"]
    ]
    return max(jitters) > _JITTER_LIMIT_S


def _text_event(digest: str, at: datetime, code: str | None) -> str:
    data = {
        "messageId": digest,
        "from": SENDER.removeprefix("+"),
        "to": "+18165550147",
        "deliveryStatus": "Failed" if code else "Delivered",
        "deliveryStatusDetails": f"{code}: it failed" if code else "No error.",
        "receivedTimestamp": at.isoformat(),
    }
    return _event("SMSDeliveryReportReceived", at, data)


def _email_event(digest: str, at: datetime, status: str | None) -> str:
    data = {"messageId": digest, "status": status or "Delivered", "deliveryAttemptTimestamp": at.isoformat()}
    return _event("EmailDeliveryReportReceived", at, data)


def _event(kind: str, at: datetime, data: dict[str, Any]) -> str:
    return json.dumps(
        {"topic": _TOPIC, "eventType": f"Microsoft.Communication.{kind}", "eventTime": at.isoformat(), "data": data}
    )


async def _nothing(_connection: AsyncConnection) -> None:
    """Follow with nothing."""
