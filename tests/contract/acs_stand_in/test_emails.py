"""E-mail: a long-running send that the caller names, by the vendor's own client."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from contract.acs_stand_in.messaging import email_client
from contract.acs_stand_in.running import TOKEN, AcsStandIn, AcsStarter

PATIENT = "pat@home.example"


def message(sender: str = "visits@lamna.example") -> dict[str, Any]:
    return {
        "senderAddress": sender,
        "content": {"subject": "Your video visit", "plainText": "Join: https://visits.lamna.example/v/abc"},
        "recipients": {"to": [{"address": PATIENT}]},
    }


async def test_the_vendors_client_sends_an_email_that_arrives_in_the_mailbox(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"delivery_seconds": 0})
    async with email_client(acs) as emails:
        result = await (await emails.begin_send(message())).result()
    async with httpx.AsyncClient(base_url=acs.url) as browser:
        mailbox = await browser.get(f"/mailbox/{PATIENT}")

    assert result["status"] == "Succeeded"
    assert '<a href="https://visits.lamna.example/v/abc"' in mailbox.text
    assert [one["to"] for one in (await acs.ledger())["emails"]] == [[PATIENT]]


async def test_one_operation_id_is_one_email(acs: AcsStandIn) -> None:
    operation_id = str(uuid.uuid4())
    query, headers = {"api-version": "2025-09-01"}, {"Authorization": f"Bearer {TOKEN}", "Operation-Id": operation_id}
    async with httpx.AsyncClient(base_url=acs.url, params=query, headers=headers) as http:
        answers = [await http.post("/emails:send", json=message()) for _ in range(2)]
        location = answers[0].headers["Operation-Location"]
        running = (await http.get(location)).json()
        await acs.pass_time(seconds=2)
        ended = (await http.get(location)).json()

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (running["id"], running["status"], ended["status"]) == (operation_id, "Running", "Succeeded")
    assert len((await acs.ledger())["emails"]) == 1


async def test_an_email_that_is_not_delivered_fails_its_operation(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"delivery_seconds": 0})
    await acs.control("POST", "messages", {"fail_emails": 1})
    async with email_client(acs) as emails:
        poller = await emails.begin_send(message())
        with pytest.raises(HttpResponseError):
            await poller.result()
    async with httpx.AsyncClient(base_url=acs.url) as browser:
        mailbox = await browser.get(f"/mailbox/{PATIENT}")

    assert "No mail yet" in mailbox.text


async def test_a_domain_that_is_not_linked_sends_nothing(acs: AcsStandIn) -> None:
    async with email_client(acs) as emails:
        with pytest.raises(ResourceNotFoundError) as refused:
            await emails.begin_send(message("visits@elsewhere.example"))

    assert "DomainNotLinked" in str(refused.value)
    assert (await acs.ledger())["emails"] == []


async def test_emails_have_a_limit_a_minute_and_one_an_hour(start_acs: AcsStarter) -> None:
    acs = await start_acs(behaviour={"emails_per_minute": 1, "emails_per_hour": 2})
    async with email_client(acs) as emails:

        async def status() -> int | None:
            try:
                await emails.begin_send(message())
            except HttpResponseError as exc:
                return exc.status_code
            return 202

        at_first = [await status(), await status()]
        await acs.pass_time(minutes=1)
        later = [await status()]
        await acs.pass_time(minutes=1)
        in_the_same_hour = [await status()]

    assert (at_first, later, in_the_same_hour) == ([202, 429], [202], [429])
