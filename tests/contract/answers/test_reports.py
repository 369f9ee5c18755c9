"""Delivery reports, from the provider through a real queue into the database: repeated, late, reversed, foreign."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from contract.acs_stand_in.messaging import PATIENT, SENDER
from contract.answers.answering import Desk, utc_now
from sqlalchemy import update

from ehr_connector.store.schema import send
from ehr_connector.store.sends import Message, State


async def test_reports_that_come_twice_and_in_reverse_say_what_became_of_each_text(desk: Desk) -> None:
    await desk.behave(hold_events=True, reverse_events=True, event_copies=2)
    codes = (2000, 4000, 4004, 4005, 4008, 5000)
    digests = [await desk.send(code=code) for code in codes]
    await desk.behave(hold_events=False)
    await desk.read(2 * len(codes))

    states = await desk.states()
    expected = [("delivered", "2000"), *(("failed", str(code)) for code in codes[1:])]
    assert [states[digest] for digest in digests] == expected
    assert (desk.count("text_report", "written"), desk.count("text_report", "known")) == (6, 6)
    assert await desk.queue.size() == 0


async def test_a_reminder_that_may_arrive_later_is_open_again_once_and_ends_by_its_second_report(desk: Desk) -> None:
    await desk.behave(event_copies=3)
    digest = await desk.send(code=4006)
    await desk.read(3)
    open_again = (await desk.states())[digest]
    async with desk.engine.begin() as connection:  # as after the pause
        await connection.execute(update(send).values(held_until=utc_now() - timedelta(seconds=1)))
    await desk.send(digest=digest)
    await desk.read(3)

    assert open_again == ("claimed", "4006")
    assert (await desk.states())[digest] == ("delivered", "2000")
    assert len(await desk.texts()) == 2
    assert desk.count("text_report", "open_again") == 1


async def test_what_no_planner_sends_again_has_failed(desk: Desk) -> None:
    digest = await desk.send("link", code=4006)
    await desk.read()
    assert (await desk.states())[digest] == ("failed", "4006")


async def test_a_reminder_that_nobody_took_up_again_has_failed_a_day_later(desk: Desk) -> None:
    digest = await desk.send(code=5002)
    await desk.read()
    await desk.answers.deliveries.give_up_tries()
    before = (await desk.states())[digest]
    async with desk.engine.begin() as connection:
        await connection.execute(update(send).values(held_until=utc_now() - timedelta(hours=25)))
    await desk.answers.deliveries.give_up_tries()
    assert (before[0], (await desk.states())[digest]) == ("claimed", ("failed", "5002"))


async def test_a_phone_that_the_carrier_blocks_gets_no_more_texts_of_the_organisation(desk: Desk) -> None:
    await desk.send(code=4007)
    await desk.read()
    assert await desk.is_opted_out()


async def test_a_number_that_is_not_verified_is_in_trouble_until_a_text_arrives(desk: Desk) -> None:
    await desk.send(code=4010)
    await desk.read()
    troubles = await desk.answers.troubles.of("lamna", "lamna")
    await desk.send()
    await desk.read()

    assert [(one.number, one.code) for one in troubles] == [(SENDER, 4010)]
    assert await desk.answers.troubles.of("lamna", "lamna") == []


async def test_an_emails_report_is_found_by_its_operation(desk: Desk) -> None:
    claim = await desk.sends.claim(_email())
    assert claim is not None
    await desk.sends.address(claim, desk.name("pat@home.example"), "visits@lamna.example")
    await desk.providers.email(desk.acs).send(
        "visits@lamna.example", "pat@home.example", "Your visit", "Join", operation_id=claim.request_id
    )
    await desk.sends.end(claim, State.ACCEPTED, message_id=str(claim.request_id))
    await desk.control("GET", "ledger")
    await desk.read()
    assert (await desk.states())["e" * 43] == ("delivered", "delivered")


async def test_a_report_that_comes_before_the_answer_of_the_provider_waits_for_it(desk: Desk) -> None:
    claim = await desk.sends.claim(_email())
    assert claim is not None
    await desk.sends.address(claim, desk.name("pat@home.example"), "visits@lamna.example")
    await desk.providers.email(desk.acs).send(
        "visits@lamna.example", "pat@home.example", "Your visit", "Join", operation_id=claim.request_id
    )
    desk.answers = replace(desk.answers, hidden_s=1)
    await desk.read()
    early = (await desk.states())["e" * 43][0], desk.count("email_report", "later")
    await desk.sends.end(claim, State.ACCEPTED, message_id=str(claim.request_id))
    await desk.read()

    assert early == ("claimed", 1)
    assert (await desk.states())["e" * 43] == ("delivered", "delivered")


async def test_what_another_resource_reports_changes_nothing(desk: Desk) -> None:
    digest = await desk.send()
    await desk.configure(communicationServices={"endpoint": "https://other.communication.azure.com"})
    await desk.say("STOP")
    await desk.read(2)

    assert (await desk.states())[digest][0] == "accepted"
    assert not await desk.is_opted_out()
    assert (desk.count("text_report", "foreign"), desk.count("text", "unknown")) == (1, 1)


async def test_a_report_of_no_text_of_ours_is_deleted(desk: Desk) -> None:
    await desk.providers.sms(desk.acs).send(
        SENDER, PATIENT, "Of another system", request_id=uuid4(), first_sent=utc_now(), tag="theirs"
    )
    await desk.read()
    assert desk.count("text_report", "unknown") == 1
    assert await desk.queue.size() == 0


@pytest.mark.parametrize("replicas", [4])
async def test_workers_that_read_side_by_side_lose_nothing_and_count_nothing_twice(desk: Desk, replicas: int) -> None:
    digests = [await desk.send() for _ in range(40)]
    await desk.queue.holds(40)
    await asyncio.gather(*(desk.answers.read() for _ in range(replicas)))
    await desk.answers.read()

    states = await desk.states()
    assert {states[digest] for digest in digests} == {("delivered", "2000")}
    assert desk.count("text_report", "written") == 40


def _email() -> Message:
    return Message("e" * 43, "v" * 43, "lamna", "lamna", "lamna-test", "reminder", "email")
