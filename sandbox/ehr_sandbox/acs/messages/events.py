"""Events of messages, in the shape that Event Grid delivers.

Source: Azure Event Grid, "Communication Services telephony and SMS events"; the samples spell numbers of `from` without a
plus and `Tag` with a capital, and so do these.
"""

from __future__ import annotations

from typing import Any

from ehr_sandbox.acs.messages.model import Received, Text
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
    _tell(world, "SMSDeliveryReportReceived", text.sender, data, at if delivered else world.now().isoformat())


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
    _tell(world, "SMSReceived", received.to, data, at)


def _tell(world: World, kind: str, number: str, data: dict[str, Any], at: str) -> None:
    world.state.messages.events.append(
        {
            "id": world.new_id(),
            "topic": TOPIC,
            "subject": f"/phonenumber/{number.removeprefix('+')}",
            "data": data,
            "eventType": f"Microsoft.Communication.{kind}",
            "dataVersion": "1.0",
            "metadataVersion": "1",
            "eventTime": at,
        }
    )
