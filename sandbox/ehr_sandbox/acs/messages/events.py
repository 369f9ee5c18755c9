"""Events of messages, in the shape that Event Grid delivers.

Source: Azure Event Grid, "Communication Services telephony and SMS events"; the samples spell numbers of `from` without a
plus and `Tag` with a capital, and so do these. "Communication Services email events" for e-mail.
"""

from __future__ import annotations

from typing import Any

from ehr_sandbox.acs.messages.model import Mail, Received, Text
from ehr_sandbox.acs.messages.segments import segments_of
from ehr_sandbox.acs.world import World

TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/sandbox/providers/Microsoft.Communication"
    "/communicationServices/sandbox"
)


def report_delivery(world: World, text: Text) -> None:
    """Tell of a text's fate."""
    delivered = text.status == "Delivered"
    at = text.due_at.isoformat()
    data: dict[str, Any] = {
        "messageId": text.id,
        "from": text.sender.removeprefix("+"),
        "to": text.to,
        "deliveryStatus": text.status,
        "deliveryStatusDetails": text.details,
        "receivedTimestamp": at,
        "deliveryAttempts": [attempt_of(text)],
    }
    if text.tag is not None:
        data["Tag"] = text.tag
    subject = _number_subject(text.sender)
    _tell(world, "SMSDeliveryReportReceived", subject, data, at if delivered else world.now().isoformat())


def attempt_of(text: Text) -> dict[str, Any]:
    """Return the one attempt that this simulator makes."""
    delivered = text.status == "Delivered"
    return {
        "timestamp": text.due_at.isoformat(),
        "segmentsSucceeded": text.segments if delivered else 0,
        "segmentsFailed": 0 if delivered else text.segments,
    }


def report_received(world: World, received: Received) -> None:
    """Tell of a text that a person sent."""
    at = received.at.isoformat()
    data = {
        "messageId": f"Incoming_{world.new_id()}",
        "from": received.sender.removeprefix("+"),
        "to": received.to.removeprefix("+"),
        "message": received.text,
        "receivedTimestamp": at,
        "segmentCount": segments_of(received.text),
    }
    _tell(world, "SMSReceived", _number_subject(received.to), data, at)


def report_email(world: World, mail: Mail) -> None:
    """Tell of an e-mail's fate, once for each recipient; its message id is the operation's."""
    at = mail.due_at.isoformat()
    for recipient in mail.to:
        data: dict[str, Any] = {
            "sender": mail.sender,
            "recipient": recipient,
            "messageId": mail.id,
            "status": "Suppressed" if mail.failure else "Delivered",
            "deliveryStatusDetails": {"statusMessage": mail.failure or ""},
            "deliveryAttemptTimestamp": at,
        }
        _tell(world, "EmailDeliveryReportReceived", f"sender/{mail.sender}/message/{mail.id}", data, at)


def _number_subject(number: str) -> str:
    return f"/phonenumber/{number.removeprefix('+')}"


def _tell(world: World, kind: str, subject: str, data: dict[str, Any], at: str) -> None:
    world.state.messages.events.append(
        {
            "id": world.new_id(),
            "topic": TOPIC,
            "subject": subject,
            "data": data,
            "eventType": f"Microsoft.Communication.{kind}",
            "dataVersion": "1.0",
            "metadataVersion": "1",
            "eventTime": at,
        }
    )
