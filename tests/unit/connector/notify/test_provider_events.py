"""Events are read from a queue's message in every form that the documents show, and from nothing else."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_connector.notify.answers.provider_events import (
    EmailReported,
    MalformedEventError,
    TextReceived,
    TextReported,
    read,
)
from ehr_connector.notify.provider import resource_name

NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
CANARY = "Canary Pat Doe"
TOPIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Communication/communicationServices/Lamna"
REPORT = {
    "MessageId": "Outgoing_1",
    "from": "18005550100",
    "to": "+14255550123",
    "deliveryStatus": "Failed",
    "deliveryStatusDetails": "4006: Destination number is unreachable",
    "receivedTimestamp": "2026-11-18T14:59:58.1234567Z",
    "Tag": "digest",
}
TEXT = {
    "messageId": "Incoming_1",
    "from": "14255550123",
    "to": "18005550100",
    "message": "STOP",
    "receivedTimestamp": "2026-11-18T14:59:58Z",
}


def event(kind: str, data: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "topic": TOPIC,
        "subject": "/phonenumber/18005550100",
        "data": data,
        "eventType": f"Microsoft.Communication.{kind}",
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": "2026-11-18T14:59:59Z",
    } | changes


def encoded(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize("form", [encoded, json.dumps, lambda one: encoded([one])], ids=["base64", "plain", "a list"])
def test_a_report_is_read_from_every_form_of_a_message(form: Any) -> None:
    assert read(form(event("SMSDeliveryReportReceived", REPORT)), NOW) == TextReported(
        resource="lamna",
        at=datetime(2026, 11, 18, 14, 59, 58, 123456, tzinfo=UTC),
        message_id="Outgoing_1",
        tag="digest",
        status="Failed",
        details="4006: Destination number is unreachable",
        sender="+18005550100",
        recipient="+14255550123",
    )


def test_a_received_text_is_read_with_both_numbers_in_one_form() -> None:
    found = read(encoded(event("SMSReceived", TEXT)), NOW)
    assert isinstance(found, TextReceived)
    assert (found.number, found.phone, found.text) == ("+18005550100", "+14255550123", "STOP")


def test_an_emails_report_is_read() -> None:
    data = {
        "sender": "visits@lamna.example",
        "recipient": "pat@home.example",
        "messageId": "operation",
        "status": "Bounced",
        "deliveryAttemptTimestamp": "2026-11-18T14:00:00.99+00:00",
    }
    found = read(encoded(event("EmailDeliveryReportReceived", data)), NOW)
    at = datetime(2026, 11, 18, 14, 0, 0, 990_000, tzinfo=UTC)
    assert found == EmailReported("lamna", at, "operation", "Bounced")


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ("2026-11-18T14:59:58", NOW - timedelta(seconds=2)),
        ("2027-01-01T00:00:00Z", NOW),
        ("soon", NOW),
        (None, NOW - timedelta(seconds=1)),
    ],
    ids=["without a zone", "in the future", "no time", "missing"],
)
def test_a_time_is_one_that_has_passed(told: str | None, taken: datetime) -> None:
    found = read(encoded(event("SMSReceived", TEXT | {"receivedTimestamp": told})), NOW)
    assert found is not None
    assert found.at == taken


@pytest.mark.parametrize("kind", ["ChatMessageReceived", "SMSReceived.V2", ""])
def test_other_kinds_of_events_are_none(kind: str) -> None:
    assert read(encoded(event(kind, {})), NOW) is None


@pytest.mark.parametrize(
    "message",
    [
        "",
        CANARY,
        encoded(CANARY),
        encoded([]),
        encoded([event("SMSReceived", TEXT)] * 2),
        encoded(event("SMSReceived", CANARY)),
        encoded(event("SMSReceived", TEXT, topic=f"/{CANARY}")),
        encoded(event("SMSReceived", TEXT | {"from": CANARY})),
        encoded(event("SMSReceived", TEXT | {"messageId": None})),
        base64.b64encode(b"\xff\xfe").decode(),
        "[" * 100_000,
    ],
    ids=[
        "nothing",
        "words",
        "encoded words",
        "an empty list",
        "two events",
        "data that is none",
        "another topic",
        "no number",
        "no id",
        "no text",
        "deep",
    ],
)
def test_anything_else_is_malformed_and_nothing_of_it_is_told(message: str) -> None:
    with pytest.raises(MalformedEventError) as failed:
        read(message, NOW)
    assert CANARY not in str(failed.value)


@given(st.text(max_size=200))
def test_any_text_is_malformed_or_none(text: str) -> None:
    with suppress(MalformedEventError):
        assert read(text, NOW) is None


def test_an_event_shows_neither_phone_nor_words_when_it_is_printed() -> None:
    shown = f"{read(encoded(event('SMSReceived', TEXT)), NOW)} {read(encoded(event('SMSDeliveryReportReceived', REPORT)), NOW)}"
    assert "STOP" not in shown
    assert "4255550123" not in shown


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://Lamna.communication.azure.com", "lamna"),
        ("https://lamna.unitedstates.communication.azure.com/", "lamna"),
        ("https://lamna.communication.azure.us", "lamna"),
        ("https://127.0.0.1:8443", None),
        ("https://lamna.example", None),
    ],
)
def test_the_resource_of_an_endpoint_is_known_in_azures_domains(endpoint: str, name: str | None) -> None:
    assert resource_name(endpoint) == name
