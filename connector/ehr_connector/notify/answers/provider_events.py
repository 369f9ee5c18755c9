"""Events of Communication Services as Event Grid puts them into a Storage queue, read from a message's text. Pure.

Source: Azure Event Grid, "Communication Services telephony and SMS events" and "email events". The samples write numbers with and
without a plus and `tag` in both cases; a message of a queue is base64 of one event's JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_PREFIX = "Microsoft.Communication."
TEXT_REPORTED = f"{_PREFIX}SMSDeliveryReportReceived"
TEXT_RECEIVED = f"{_PREFIX}SMSReceived"
EMAIL_REPORTED = f"{_PREFIX}EmailDeliveryReportReceived"
_RESOURCE = re.compile(r"/providers/microsoft\.communication/communicationservices/([^/]+)$", re.IGNORECASE)
_NUMBER = re.compile(r"\+?([1-9][0-9]{2,14})")
_LONGEST_SHORT_CODE = 6


class MalformedEventError(Exception):
    """The message holds no event of the shape that the documents show; the message of this names no value."""


@dataclass(frozen=True, slots=True)
class TextReported:
    """What became of a text."""

    resource: str
    at: datetime
    message_id: str
    tag: str | None
    status: str
    details: str
    sender: str | None = field(repr=False)
    recipient: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextReceived:
    """A text that somebody sent to a number."""

    resource: str
    at: datetime
    message_id: str
    number: str
    """The number that was texted."""
    phone: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EmailReported:
    """What became of an e-mail."""

    resource: str
    at: datetime
    message_id: str
    status: str


ProviderEvent = TextReported | TextReceived | EmailReported


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="ignore")

    topic: str = Field(max_length=512)
    event_type: str = Field(alias="eventType", max_length=256)
    event_time: str = Field(alias="eventTime", default="", max_length=64)
    data: dict[str, Any]


def read(text: str, now: datetime) -> ProviderEvent | None:
    """Return the event in a message, or None when it is of a kind that nothing is done about.

    Raises:
        MalformedEventError: There is no event, or it lacks what it must have.
    """
    envelope = _envelope(text)
    if envelope.event_type not in {TEXT_REPORTED, TEXT_RECEIVED, EMAIL_REPORTED}:
        return None
    data = {name.casefold(): value for name, value in envelope.data.items()}
    found = _RESOURCE.search(envelope.topic)
    message_id = _text(data, "messageid")
    if found is None or not message_id:
        raise MalformedEventError("no Communication Services resource as its topic, or no message id")
    resource = found[1].casefold()
    if envelope.event_type == EMAIL_REPORTED:
        at = _time(_text(data, "deliveryattempttimestamp") or envelope.event_time, now)
        return EmailReported(resource, at, message_id, _text(data, "status"))
    at = _time(_text(data, "receivedtimestamp") or envelope.event_time, now)
    sender, recipient = _number(_text(data, "from")), _number(_text(data, "to"))
    if envelope.event_type == TEXT_REPORTED:
        return TextReported(
            resource=resource,
            at=at,
            message_id=message_id,
            tag=_text(data, "tag") or None,
            status=_text(data, "deliverystatus"),
            details=_text(data, "deliverystatusdetails"),
            sender=sender,
            recipient=recipient,
        )
    if sender is None or recipient is None:
        raise MalformedEventError("a received text without two numbers")
    return TextReceived(resource, at, message_id, number=recipient, phone=sender, text=_text(data, "message"))


def _envelope(text: str) -> _Envelope:
    try:
        content = json.loads(_decoded(text))
        # One event a message; the schema as such allows a list.
        if isinstance(content, list) and len(content) == 1:  # pyright: ignore[reportUnknownArgumentType]  # JSON
            content = content[0]  # pyright: ignore[reportUnknownVariableType]
        return _Envelope.model_validate(content)
    except (ValueError, RecursionError, ValidationError):
        raise MalformedEventError("no event of Event Grid's schema") from None


def _decoded(text: str) -> str:
    """Return the JSON: of base64, as Event Grid writes it, or as it is."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        return stripped
    try:
        return base64.b64decode(stripped, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise ValueError from exc


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _number(text: str) -> str | None:
    """Return a number in E.164, or a short code as it is."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    return found[1] if len(found[1]) <= _LONGEST_SHORT_CODE else f"+{found[1]}"


def _time(text: str, now: datetime) -> datetime:
    """Return a time that has passed: one in the future would hold against everything that comes until then."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now
    return min(at if at.tzinfo else at.replace(tzinfo=UTC), now)
