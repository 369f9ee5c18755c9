"""Texts: accepted once, delivered or not, reported, refused: by the vendor's own client where that can say it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from contract.acs_stand_in.messaging import PATIENT, SENDER, body, events, plain, ready, sms_client, texts
from contract.acs_stand_in.running import AcsStandIn, AcsStarter


async def test_the_vendors_client_sends_a_text_that_arrives_on_the_phone(acs: AcsStandIn) -> None:
    await ready(acs)
    async with sms_client(acs) as sms:
        results = await sms.send(
            SENDER, [PATIENT], "Join: https://visits.lamna.example/v/abc", enable_delivery_report=True, tag="t"
        )
    before = await texts(acs)
    await acs.pass_time(seconds=2)
    async with httpx.AsyncClient(base_url=acs.url) as browser:
        phone = await browser.get(f"/phone/{PATIENT}")

    assert [(one.http_status_code, one.successful, one.to) for one in results] == [(202, True, PATIENT)]
    assert [one["status"] for one in before] == ["Accepted"]
    assert [(one["messageId"], one["status"]) for one in await texts(acs)] == [(results[0].message_id, "Delivered")]
    assert '<a href="https://visits.lamna.example/v/abc"' in phone.text


async def test_each_recipient_has_a_result_of_its_own(acs: AcsStandIn) -> None:
    await ready(acs)
    async with sms_client(acs) as sms:
        results = await sms.send(SENDER, [PATIENT, "425-555"], "Hello")

    assert [(one.http_status_code, one.successful) for one in results] == [(202, True), (400, False)]
    assert results[1].error_message == "Invalid To phone number format."
    assert len(await texts(acs)) == 1


async def test_a_repetition_is_accepted_once_and_answered_the_same(acs: AcsStandIn) -> None:
    await ready(acs)
    request = body(request_id=str(uuid.uuid4()), first_sent=acs.settings.now())
    async with plain(acs) as http:
        first = await http.post("/sms", json=request)
        second = await http.post("/sms", json=request)

    assert first.status_code == 202
    assert first.json() == second.json()
    assert first.json()["value"][0]["repeatabilityResult"] == "accepted"
    assert len(await texts(acs)) == 1


@pytest.mark.parametrize("case", ["another text", "too old"])
async def test_a_repeatability_id_that_cannot_be_honoured_sends_nothing(acs: AcsStandIn, case: str) -> None:
    await ready(acs)
    request_id, now = str(uuid.uuid4()), acs.settings.now()
    age = timedelta(days=2) if case == "too old" else timedelta()
    async with plain(acs) as http:
        if case == "another text":
            await http.post("/sms", json=body("First", request_id=request_id, first_sent=now))
        sent = len(await texts(acs))
        answer = await http.post("/sms", json=body("Second", request_id=request_id, first_sent=now - age))

    result = answer.json()["value"][0]
    assert (answer.status_code, result["httpStatusCode"], result["repeatabilityResult"]) == (202, 400, "rejected")
    assert len(await texts(acs)) == sent


async def test_the_vendors_client_repeated_sends_twice_for_its_ids_are_new_each_time(acs: AcsStandIn) -> None:
    await ready(acs)
    async with sms_client(acs) as sms:
        await sms.send(SENDER, [PATIENT], "Hello")
        await sms.send(SENDER, [PATIENT], "Hello")

    assert len(await texts(acs)) == 2


async def test_a_sender_that_is_not_ours_is_refused(acs: AcsStandIn) -> None:
    async with sms_client(acs) as sms:
        with pytest.raises(ClientAuthenticationError):
            await sms.send(SENDER, [PATIENT], "Hello")
        with pytest.raises(HttpResponseError, match="Invalid From"):
            await sms.send("425", [PATIENT], "Hello")

    assert await texts(acs) == []


@pytest.mark.parametrize(
    "change",
    [
        {"message": ""},
        {"message": "x" * 2049},
        {"smsRecipients": []},
        {"smsRecipients": [{"to": PATIENT}] * 101},
        {"smsSendOptions": {"tag": "no word on the report"}},
        {"smsSendOptions": {"enableDeliveryReport": True, "deliveryReportTimeoutInSeconds": 59}},
    ],
    ids=["empty", "too long", "nobody", "too many", "no report option", "report time-out"],
)
async def test_a_send_outside_the_rules_is_a_bad_request(acs: AcsStandIn, change: dict[str, Any]) -> None:
    await ready(acs)
    async with plain(acs) as http:
        answer = await http.post("/sms", json={**body(), **change})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert await texts(acs) == []


async def test_a_toll_free_number_sends_so_many_a_minute(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"texts_per_minute": 2})
    await ready(acs)
    async with plain(acs) as http:
        statuses = [(await http.post("/sms", json=body())).status_code for _ in range(3)]
        refused = await http.post("/sms", json=body())
        await acs.pass_time(seconds=int(refused.headers["Retry-After"]))
        later = await http.post("/sms", json=body())

    assert statuses == [202, 202, 429]
    assert refused.headers["Retry-After"] == "60"
    assert later.status_code == 202


@pytest.mark.parametrize(
    ("message", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ي" * 70, 1),
        ("ي" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 307, 3),
    ],
)
async def test_segments_are_counted_as_carriers_do(acs: AcsStandIn, message: str, segments: int) -> None:
    await ready(acs)
    async with sms_client(acs) as sms:
        await sms.send(SENDER, [PATIENT], message)

    assert [one["segments"] for one in await texts(acs)] == [segments]


async def test_an_unverified_toll_free_numbers_texts_are_accepted_and_never_arrive(acs: AcsStandIn) -> None:
    await acs.control("POST", "state", {"own": [SENDER]})
    async with sms_client(acs) as sms:
        results = await sms.send(SENDER, [PATIENT], "Hello", enable_delivery_report=True)
    await acs.pass_time(seconds=2)

    [event] = await events(acs)
    assert results[0].successful
    assert event["eventType"] == "Microsoft.Communication.SMSDeliveryReportReceived"
    assert event["data"]["deliveryStatus"] == "Failed"
    assert event["data"]["deliveryStatusDetails"].startswith("4010:")


async def test_a_text_gets_the_delivery_code_that_was_planned(acs: AcsStandIn) -> None:
    await ready(acs)
    await acs.control("POST", "messages", {"codes": [{"code": 4006, "to": PATIENT}]})
    async with plain(acs) as http:
        first = (await http.post("/sms", json=body(tag="first"))).json()["value"][0]["messageId"]
        await http.post("/sms", json=body(tag="second"))
        early = await http.get(f"/deliveryReports/{first}")
        await acs.pass_time(seconds=2)
        report = await http.get(f"/deliveryReports/{first}")

    told = {event["data"]["Tag"]: event["data"] for event in await events(acs)}
    assert early.status_code == 404
    assert (report.json()["deliveryStatus"], report.json()["tag"]) == ("Failed", "first")
    assert report.json()["deliveryStatusDetails"].startswith("4006:")
    assert told["first"]["deliveryStatusDetails"].startswith("4006:")
    assert told["second"]["deliveryStatusDetails"] == "2000: No Error"
    assert (told["second"]["from"], told["second"]["to"]) == (SENDER.removeprefix("+"), PATIENT)


async def test_stop_blocks_the_number_until_start_and_both_are_told(acs: AcsStandIn) -> None:
    await ready(acs)

    async def says(word: str) -> str:
        text = {"from": PATIENT, "to": SENDER, "message": word}
        await acs.control("POST", "messages", {"inbound": [text]})
        async with sms_client(acs) as sms:
            await sms.send(SENDER, [PATIENT], "Hello")
        await acs.pass_time(seconds=2)
        return f"{(await texts(acs))[-1]['code']}"

    assert [await says("stop "), await says("Start")] == ["4007", "2000"]
    told = [event["data"] for event in await events(acs)]
    assert [(one["message"], one["from"]) for one in told] == [("stop ", PATIENT[1:]), ("Start", PATIENT[1:])]


async def test_opt_outs_are_added_asked_for_and_removed(acs: AcsStandIn) -> None:
    await ready(acs)
    wanted = {"from": SENDER, "recipients": [{"to": PATIENT}]}

    async def is_opted_out(http: httpx.AsyncClient) -> bool:
        return (await http.post("/sms/optouts:check", json=wanted)).json()["value"][0]["isOptedOut"]

    async with plain(acs) as http:
        answers = [await is_opted_out(http)]
        for change in ("add", "remove"):
            added = await http.post(f"/sms/optouts:{change}", json=wanted)
            assert added.json() == {"value": [{"to": PATIENT, "httpStatusCode": 200}]}
            answers.append(await is_opted_out(http))
        old = await http.post("/sms/optouts:check", params={"api-version": "2021-03-07"}, json=wanted)

    assert answers == [False, True, False]
    assert old.status_code == 400


async def test_a_person_texts_back_from_the_phone_page(acs: AcsStandIn) -> None:
    await ready(acs)
    async with httpx.AsyncClient(base_url=acs.url, follow_redirects=True) as browser:
        page = await browser.post(f"/phone/{PATIENT}", data={"to": SENDER, "message": "STOP"})

    assert "NETWORK MSG" in page.text
    assert [event["data"]["message"] for event in await events(acs)] == ["STOP"]
