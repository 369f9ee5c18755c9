"""Events of the stand-in reach a real Storage queue as Event Grid brings them, by the vendor's own clients."""

from __future__ import annotations

from typing import Any

from azure.eventgrid import SystemEventNames
from contract.acs_stand_in.messaging import PATIENT, SENDER, body, email_client, plain, ready
from contract.acs_stand_in.running import AcsStandIn, AcsStarter
from contract.answers.queues import Queue


async def _brings(start_acs: AcsStarter, queue: Queue, **behaviour: Any) -> AcsStandIn:
    acs = await start_acs(behaviour={"delivery_seconds": 0, **behaviour}, queue_url=queue.url)
    await ready(acs)
    return acs


async def _text(acs: AcsStandIn, tag: str) -> None:
    async with plain(acs) as http:
        (await http.post("/sms", json=body(tag=tag))).raise_for_status()


async def test_every_kind_of_event_comes_in_the_shape_that_the_vendors_models_read(
    start_acs: AcsStarter, queue: Queue
) -> None:
    acs = await _brings(start_acs, queue)
    await _text(acs, "first")
    await acs.control("POST", "messages", {"inbound": [{"from": PATIENT, "to": SENDER, "message": "STOP"}]})
    async with email_client(acs) as mail:
        poller = await mail.begin_send(
            {
                "senderAddress": "visits@lamna.example",
                "recipients": {"to": [{"address": "pat@home.example"}]},
                "content": {"subject": "Your visit", "plainText": "Join"},
            }
        )
        operation = (await poller.result())["id"]

    events = {event.event_type: event for event in await queue.events(3)}
    report = events[SystemEventNames.AcsSmsDeliveryReportReceivedEventName]
    received = events[SystemEventNames.AcsSmsReceivedEventName]
    mailed = events[SystemEventNames.AcsEmailDeliveryReportReceivedEventName]
    assert (report.subject, report.data["deliveryStatusDetails"]) == (f"/phonenumber/{SENDER[1:]}", "2000: No Error")
    assert (received.data["message"], received.data["from"]) == ("STOP", PATIENT[1:])
    assert (mailed.data["messageId"], mailed.data["status"]) == (operation, "Delivered")
    assert mailed.subject == f"sender/visits@lamna.example/message/{operation}"


async def test_an_email_that_is_suppressed_is_reported_so(start_acs: AcsStarter, queue: Queue) -> None:
    acs = await _brings(start_acs, queue)
    await acs.control("POST", "messages", {"fail_emails": 1})
    async with plain(acs) as http:
        sent = {
            "senderAddress": "visits@lamna.example",
            "recipients": {"to": [{"address": "pat@home.example"}]},
            "content": {"subject": "Your visit", "plainText": "Join"},
        }
        (await http.post("/emails:send", params={"api-version": "2025-09-01"}, json=sent)).raise_for_status()

    [event] = await queue.events(1)
    assert event.data["status"] == "Suppressed"


async def test_events_come_late_out_of_order_and_more_than_once_on_request(start_acs: AcsStarter, queue: Queue) -> None:
    acs = await _brings(start_acs, queue, hold_events=True, reverse_events=True, event_copies=2)
    for tag in ("first", "second"):
        await _text(acs, tag)
    await acs.control("PATCH", "settings", {"hold_events": False})

    events = await queue.events(4)
    assert [event.data["Tag"] for event in events] == ["second", "second", "first", "first"]
    assert len({event.id for event in events}) == 2
