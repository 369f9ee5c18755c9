"""Sending texts: what is refused, what is accepted once, and what becomes of it.

Source: azure-rest-api-specs, Communication/data-plane/Sms; Communication Services, "SMS FAQ", "Service limits". A number that
the resource does not own is refused with 401, a recipient that is no number in its own result: so show the recordings in
the tests of the vendor's client.
"""

from __future__ import annotations

import email.utils
import hashlib
import itertools
import math
import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ehr_sandbox.acs.errors import AzureError, bad_request, too_many
from ehr_sandbox.acs.messages import events
from ehr_sandbox.acs.messages.model import (
    NOT_VERIFIED,
    OK,
    OPTED_OUT,
    UNSUPPORTED_DESTINATION,
    Received,
    Repetition,
    Text,
)
from ehr_sandbox.acs.messages.segments import segments_of
from ehr_sandbox.acs.model import OwnedNumber, Wire
from ehr_sandbox.acs.world import World

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MINUTE = timedelta(minutes=1)
_STOP = frozenset({"STOP"})
_START = frozenset({"START", "UNSTOP"})
"""What the carrier of a toll-free number acts upon. Source: SMS FAQ."""


def _http_date(value: object) -> object:
    return email.utils.parsedate_to_datetime(value) if isinstance(value, str) else value


class Recipient(Wire):
    """Whom a text goes to. Repeatability is a field of each recipient, not a header."""

    to: str
    repeatability_request_id: str | None = None
    repeatability_first_sent: Annotated[datetime | None, BeforeValidator(_http_date)] = None


class SendOptions(Wire):
    """How a text is sent."""

    enable_delivery_report: bool
    tag: str | None = None
    delivery_report_timeout_in_seconds: int | None = Field(default=None, ge=60, le=43200)


class SendRequest(Wire):
    """The body of a send."""

    sender: str = Field(alias="from")
    sms_recipients: list[Recipient] = Field(min_length=1, max_length=100)
    message: str = Field(min_length=1, max_length=2048)
    sms_send_options: SendOptions | None = None


def send(world: World, wanted: SendRequest) -> list[dict[str, Any]]:
    """Accept a text for each recipient that can be one, and return each one's result.

    Raises:
        AzureError: the sender cannot send, or is over its rate.
    """
    if not _E164.fullmatch(wanted.sender):
        raise bad_request("Invalid From phone number format.")
    number = world.state.owned.get(wanted.sender.removeprefix("+"))
    if number is None or "outbound" not in number.capabilities.sms:
        raise AzureError(401, "Unauthorized", "The From phone number is not one of this resource's that can text.")
    _keep_to_the_rate(world, number, len(wanted.sms_recipients))
    return [_send_one(world, number, wanted, recipient) for recipient in wanted.sms_recipients]


def _keep_to_the_rate(world: World, number: OwnedNumber, more: int) -> None:
    if number.phone_number_type != "tollFree":
        return
    now, limit = world.now(), world.behaviour.texts_per_minute
    texts = world.state.messages.texts
    if len(texts) + more <= limit:
        return
    last_minute = itertools.takewhile(lambda one: one.accepted_at > now - _MINUTE, reversed(texts.values()))
    recent = [one.accepted_at for one in last_minute if one.sender == number.phone_number]
    if len(recent) + more > limit:
        oldest = min(recent, default=now)
        raise too_many(
            f"The number may send {limit} messages a minute.",
            max(1, math.ceil((oldest + _MINUTE - now).total_seconds())),
        )


def _send_one(world: World, number: OwnedNumber, wanted: SendRequest, recipient: Recipient) -> dict[str, Any]:
    if not _E164.fullmatch(recipient.to):
        return _result(recipient.to, 400, error="Invalid To phone number format.")
    request_id = recipient.repeatability_request_id
    if request_id is None:
        return _accept(world, number, wanted, recipient)
    fingerprint = _fingerprint(wanted, recipient)
    known = world.state.messages.repetitions.get(request_id)
    if (
        known is not None
        and known.fingerprint == fingerprint
        and known.first_sent == recipient.repeatability_first_sent
    ):
        return known.answer
    first_sent = recipient.repeatability_first_sent
    window = timedelta(seconds=world.behaviour.repeatability_window_s)
    if known is not None or first_sent is None or first_sent < world.now() - window:
        # Source: OASIS Repeatable Requests 1.0: what cannot be told from a new request any more is refused, not sent. How
        # long the service remembers no page says; a day is this simulator's choice.
        error = "The repeatability request id was used for another request, or its first-sent time is too old."
        return _result(recipient.to, 400, error=error, repeatability="rejected")
    answer = _accept(world, number, wanted, recipient)
    world.state.messages.repetitions[request_id] = Repetition(
        fingerprint=fingerprint, first_sent=first_sent, answer=answer
    )
    return answer


def _accept(world: World, number: OwnedNumber, wanted: SendRequest, recipient: Recipient) -> dict[str, Any]:
    options = wanted.sms_send_options
    now = world.now()
    text = Text(
        id=f"Outgoing_{world.new_id()}",
        sender=number.phone_number,
        to=recipient.to,
        text=wanted.message,
        segments=segments_of(wanted.message),
        tag=options.tag if options else None,
        report=options is not None and options.enable_delivery_report,
        accepted_at=now,
        due_at=now + timedelta(seconds=world.behaviour.delivery_seconds),
        code=_fate(world, number, recipient.to),
        repeatability_id=recipient.repeatability_request_id,
    )
    world.state.messages.accept(text)
    return _result(recipient.to, 202, message_id=text.id)


def _fate(world: World, number: OwnedNumber, to: str) -> int:
    messages = world.state.messages
    for planned in messages.planned:
        if planned.to in {None, to}:
            messages.planned.remove(planned)
            return planned.code
    if (number.phone_number, to) in messages.opted_out:
        return OPTED_OUT
    if number.phone_number_type == "tollFree":
        if not is_verified(world, number.phone_number):
            return NOT_VERIFIED
        if not to.startswith("+1"):
            return UNSUPPORTED_DESTINATION
    return OK


def is_verified(world: World, phone_number: str) -> bool:
    """Tell whether the carriers let a toll-free number's texts through."""
    messages = world.state.messages
    return phone_number in messages.verified or (
        world.behaviour.verified_at_once and phone_number not in messages.unverified
    )


def receive(world: World, sender: str, to: str, text: str) -> None:
    """Take a text that a person sends; the carrier of a toll-free number itself acts upon STOP, START and UNSTOP."""
    messages, now = world.state.messages, world.now()
    received = Received(sender=sender, to=to, text=text, at=now)
    messages.received.append(received)
    events.report_received(world, received)
    word = text.strip().upper()
    if word in _STOP:
        messages.opted_out.add((to, sender))
        answer = 'NETWORK MSG: You replied with the word "stop" which blocks all texts sent from this number. Text back "unstop" to receive messages again.'
    elif word in _START:
        messages.opted_out.discard((to, sender))
        answer = 'NETWORK MSG: You have replied "unstop" and will begin receiving messages again from this number.'
    else:
        return
    messages.received.append(Received(sender=to, to=sender, text=answer, at=now))


def _fingerprint(wanted: SendRequest, recipient: Recipient) -> str:
    parts = (wanted.sender, recipient.to, wanted.message)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _result(
    to: str, status: int, *, message_id: str | None = None, error: str | None = None, repeatability: str = "accepted"
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "to": to,
        "httpStatusCode": status,
        "successful": error is None,
        "repeatabilityResult": repeatability,
    }
    if message_id is not None:
        result["messageId"] = message_id
    if error is not None:
        result["errorMessage"] = error
    return result
