"""Messages: one claim however many want it, the same id after a dead worker, and no trace of whom they went to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from contract.store.conftest import Clock
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.schema import send
from ehr_connector.store.sends import Message, Sends, State

MESSAGE = Message("d" * 43, "v" * 43, "lamna", "lamna", "test", "link", "sms")
PHONE, NUMBER = "p" * 43, "+18005550100"


async def test_of_many_that_claim_at_once_one_may_send(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    replicas = [Sends(engine, clock), Sends(other, clock)] * 8
    claims = await asyncio.gather(*(one.claim(MESSAGE) for one in replicas))
    assert sum(claim is not None for claim in claims) == 1


async def test_a_claim_that_was_left_is_taken_over_with_its_id_and_time(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    first = await sends.claim(MESSAGE)
    assert first is not None
    assert await sends.address(first, PHONE, NUMBER, "sms")
    clock.pass_(59)
    too_early = await sends.claim(MESSAGE)
    clock.pass_(1)
    second = await sends.claim(MESSAGE)

    assert too_early is None
    assert second is not None
    assert (second.request_id, second.first_sent_at) == (first.request_id, first.first_sent_at)
    assert (second.is_addressed, second.sender) == (True, NUMBER)
    assert not await sends.address(first, PHONE)
    assert await sends.address(second, PHONE)


async def test_a_claim_under_which_nothing_was_sent_begins_anew(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    first = await sends.claim(replace(MESSAGE, about="a" * 43))
    clock.pass_(60)
    second = await sends.claim(replace(MESSAGE, about="b" * 43))
    assert first is not None
    assert second is not None
    await sends.address(second, PHONE, NUMBER)
    await sends.release(second, untouched=True)
    clock.pass_(5)
    third = await sends.claim(MESSAGE)

    assert (second.is_addressed, second.about, second.first_sent_at) == (
        False,
        "b" * 43,
        clock() - timedelta(seconds=5),
    )
    assert third is not None
    assert (third.is_addressed, third.about, third.first_sent_at) == (False, None, clock())
    assert third.request_id == first.request_id


async def test_a_claim_of_a_clock_that_jumped_ahead_is_anybodys(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    clock.pass_(3600)
    assert await sends.claim(MESSAGE) is not None
    clock.pass_(-3600)
    assert await sends.claim(MESSAGE) is not None
    assert await sends.claim(MESSAGE) is None


async def test_who_lost_a_claim_cannot_end_it(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    first = await sends.claim(MESSAGE)
    clock.pass_(60)
    second = await sends.claim(MESSAGE)
    assert first is not None
    assert second is not None
    await sends.end(first, State.NOT_SENT, reason="no_phone")
    before = await sends.ended(MESSAGE.visit, "link", "sms")
    await sends.end(second, State.ACCEPTED, message_id="Outgoing_1")

    assert before == 0
    assert await sends.ended(MESSAGE.visit, "link", "sms") == 1


async def test_a_claim_that_was_given_back_is_taken_up_at_once_under_the_same_id(
    engine: AsyncEngine, clock: Clock
) -> None:
    sends = Sends(engine, clock)
    first = await sends.claim(MESSAGE)
    assert first is not None
    await sends.release(first)
    second = await sends.claim(MESSAGE)
    assert second is not None
    assert second.request_id == first.request_id


async def test_what_has_ended_is_claimed_no_more(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    for number, state in enumerate((State.ACCEPTED, State.NOT_SENT)):
        message = replace(MESSAGE, digest=f"{number}" * 43)
        claim = await sends.claim(message)
        assert claim is not None
        await sends.end(claim, state)
        clock.pass_(600)
        assert await sends.claim(message) is None


async def test_caps_count_what_was_sent_and_what_may_have_been(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    began = clock()
    for number, state in enumerate((State.ACCEPTED, State.NOT_SENT, None)):
        claim = await sends.claim(replace(MESSAGE, digest=f"{number}" * 43))
        assert claim is not None
        await sends.address(claim, PHONE)
        if state is not None:
            await sends.end(claim, state)

    assert await sends.sent_to(PHONE, began - timedelta(seconds=1)) == [2]
    assert await sends.sent_to(PHONE, began - timedelta(seconds=1), besides="0" * 43) == [1]
    assert await sends.sent_to(PHONE, began + timedelta(seconds=1), began - timedelta(seconds=1)) == [0, 2]
    assert await sends.sent_to("q" * 43, began - timedelta(seconds=1)) == [0]


async def test_whom_a_message_went_to_is_forgotten_after_the_longest_window(engine: AsyncEngine, clock: Clock) -> None:
    sends = Sends(engine, clock)
    claim = await sends.claim(MESSAGE)
    assert claim is not None
    await sends.address(claim, PHONE)
    clock.pass_(8 * 86400 - 60)
    await sends.forget_recipients()
    [kept] = await sends.sent_to(PHONE, clock() - timedelta(days=9))
    clock.pass_(120)
    await sends.forget_recipients()
    async with engine.connect() as connection:
        left = (await connection.execute(select(send.c.digest, send.c.recipient))).all()

    assert kept == 1
    assert [tuple(row) for row in left] == [(MESSAGE.digest, None)]
