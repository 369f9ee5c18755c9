"""Reports of the provider: repeated, late, out of order or early, they never undo what a later one told."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from contract.store.conftest import Clock
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.deliveries import Deliveries, News, Report
from ehr_connector.store.number_troubles import NumberTrouble, NumberTroubles
from ehr_connector.store.schema import send
from ehr_connector.store.send_state import State
from ehr_connector.store.sends import Claim, Message, Sends

MESSAGE = Message("d" * 43, "v" * 43, "lamna", "lamna", "test", "reminder", "sms")
PHONE, SENDER = "p" * 43, "+18005550100"
PAUSE = timedelta(minutes=5)


async def claimed(sends: Sends) -> Claim:
    claim = await sends.claim(MESSAGE)
    assert claim is not None
    await sends.address(claim, PHONE, SENDER)
    return claim


async def accepted(engine: AsyncEngine, clock: Clock, message_id: str = "Outgoing_1") -> Claim:
    sends = Sends(engine, clock)
    claim = await claimed(sends)
    await sends.end(claim, State.ACCEPTED, message_id=message_id)
    return claim


def report(
    clock: Clock, state: State = State.FAILED, reason: str = "4006", message_id: str = "Outgoing_1", seconds: float = 1
) -> Report:
    return Report(message_id, state, reason, clock() + timedelta(seconds=seconds), tag=MESSAGE.digest)


async def row(engine: AsyncEngine) -> tuple[str, str | None, str | None]:
    async with engine.connect() as connection:
        found = (await connection.execute(select(send.c.state, send.c.reason, send.c.message_id))).one()
    return found.state, found.reason, found.message_id


async def test_a_report_is_found_by_the_providers_id_by_the_tag_and_by_the_request(
    engine: AsyncEngine, clock: Clock
) -> None:
    claim = await accepted(engine, clock)
    deliveries = Deliveries(engine, clock)
    told = report(clock)
    by_id = await deliveries.find(replace(told, tag=None))
    by_tag = await deliveries.find(replace(told, message_id="Outgoing_9"))
    by_request = await deliveries.find(replace(told, message_id=str(claim.request_id), tag=None))
    nobodys = await deliveries.find(replace(told, message_id="Outgoing_9", tag=None))

    assert by_id is not None
    assert by_id == by_tag == by_request
    assert (by_id.namespace, by_id.name, by_id.occasion, by_id.recipient) == ("lamna", "lamna", "reminder", PHONE)
    assert nobodys is None


async def test_a_report_ends_a_message_and_its_repetition_says_nothing(engine: AsyncEngine, clock: Clock) -> None:
    await accepted(engine, clock)
    deliveries = Deliveries(engine, clock)
    told = report(clock, State.DELIVERED, "2000")
    assert [await deliveries.write(told), await deliveries.write(told)] == [News.NEW, News.OLD]
    assert await row(engine) == ("delivered", "2000", "Outgoing_1")


@pytest.mark.parametrize("order", [*itertools.permutations([("failed", 1), ("delivered", 2)])], ids=str)
async def test_what_arrived_after_all_has_arrived_in_whatever_order_that_is_told(
    engine: AsyncEngine, clock: Clock, order: list[tuple[str, int]]
) -> None:
    await accepted(engine, clock)
    deliveries = Deliveries(engine, clock)
    for state, seconds in order:
        await deliveries.write(report(clock, State(state), "2000" if seconds == 2 else "4006", seconds=seconds))
    assert (await row(engine))[:2] == ("delivered", "2000")


async def test_a_report_of_no_message_of_ours_changes_nothing(engine: AsyncEngine, clock: Clock) -> None:
    await accepted(engine, clock)
    news = await Deliveries(engine, clock).write(replace(report(clock, message_id="Outgoing_9"), tag=None))
    assert news is News.OLD
    assert (await row(engine))[0] == "accepted"


async def test_a_report_that_comes_before_the_providers_answer_is_early(engine: AsyncEngine, clock: Clock) -> None:
    sends, deliveries = Sends(engine, clock), Deliveries(engine, clock)
    claim = await claimed(sends)
    early = await deliveries.write(report(clock))
    await sends.end(claim, State.ACCEPTED, message_id="Outgoing_1")
    assert (early, await deliveries.write(report(clock))) == (News.EARLY, News.NEW)
    assert (await row(engine))[0] == "failed"


async def test_a_message_that_may_arrive_later_is_open_again_under_a_new_id_after_a_pause(
    engine: AsyncEngine, clock: Clock
) -> None:
    first = await accepted(engine, clock)
    sends, deliveries = Sends(engine, clock), Deliveries(engine, clock)
    told = report(clock)
    news = [await deliveries.write(told, PAUSE), await deliveries.write(told, PAUSE)]
    too_early = await sends.claim(MESSAGE)
    clock.pass_(PAUSE.total_seconds())
    second = await sends.claim(MESSAGE)

    assert news == [News.NEW, News.OLD]
    assert too_early is None
    assert second is not None
    assert second.request_id != first.request_id
    assert second.first_sent_at == clock()
    assert not second.is_addressed


async def test_a_late_report_of_the_first_try_says_nothing_of_the_second(engine: AsyncEngine, clock: Clock) -> None:
    await accepted(engine, clock)
    sends, deliveries = Sends(engine, clock), Deliveries(engine, clock)
    first = report(clock)
    await deliveries.write(first, PAUSE)
    clock.pass_(PAUSE.total_seconds())
    claim = await claimed(sends)
    while_sending = await deliveries.write(first, PAUSE)
    early = await deliveries.write(report(clock, State.DELIVERED, "2000", "Outgoing_2"))
    await sends.end(claim, State.ACCEPTED, message_id="Outgoing_2")
    late = await deliveries.write(first, PAUSE)
    second = await deliveries.write(report(clock, State.DELIVERED, "2000", "Outgoing_2"))
    found = await deliveries.find(first)

    assert (while_sending, early, late, second) == (News.OLD, News.EARLY, News.OLD, News.NEW)
    assert await row(engine) == ("delivered", "2000", "Outgoing_2")
    assert found is not None
    assert found.attempts == 2


async def test_one_report_told_to_two_replicas_opens_a_message_once(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    await accepted(engine, clock)
    told = report(clock)
    replicas = [Deliveries(engine, clock), Deliveries(other, clock)] * 4
    news = await asyncio.gather(*(one.write(told, PAUSE) for one in replicas))
    found = await replicas[0].find(told)

    assert sorted(news) == sorted([News.NEW] + [News.OLD] * 7)
    assert found is not None
    assert found.attempts == 2


async def test_a_message_of_which_nobody_knew_whether_it_went_out_is_settled_by_a_report(
    engine: AsyncEngine, clock: Clock
) -> None:
    sends = Sends(engine, clock)
    claim = await claimed(sends)
    await sends.end(claim, State.UNKNOWN)
    news = await Deliveries(engine, clock).write(report(clock), PAUSE)
    assert news is News.NEW
    assert (await row(engine))[0] == "failed"


async def test_a_numbers_trouble_lasts_until_a_later_text_arrives(engine: AsyncEngine, clock: Clock) -> None:
    troubles, began = NumberTroubles(engine, clock), clock()
    times = [began + timedelta(seconds=seconds) for seconds in range(4)]
    await troubles.note("lamna", "lamna", SENDER, 4010, times[2])
    await troubles.note("lamna", "lamna", SENDER, 4010, times[1])
    await troubles.clear("lamna", "lamna", SENDER, times[0])
    noted = await troubles.of("lamna", "lamna")
    of_others = await troubles.of("lamna", "other")
    await troubles.clear("lamna", "lamna", SENDER, times[3])

    assert noted == [NumberTrouble(SENDER, 4010, times[1], times[2])]
    assert of_others == []
    assert await troubles.of("lamna", "lamna") == []


async def test_a_late_report_of_trouble_that_a_text_has_ended_brings_it_not_back(
    engine: AsyncEngine, clock: Clock
) -> None:
    sends, deliveries, troubles = Sends(engine, clock), Deliveries(engine, clock), NumberTroubles(engine, clock)
    failed_at = clock()
    claim = await sends.claim(Message("d" * 43, "v" * 43, "lamna", "lamna", "test", "reminder", "sms"))
    assert claim is not None
    await sends.address(claim, "r" * 43, SENDER)
    await sends.end(claim, State.ACCEPTED, message_id="Outgoing_1")
    clock.pass_(60)
    await deliveries.write(Report("Outgoing_1", State.DELIVERED, "2000", clock()))
    await troubles.note("lamna", "lamna", SENDER, 4010, failed_at)
    late = await troubles.of("lamna", "lamna")
    clock.pass_(60)
    await troubles.note("lamna", "lamna", SENDER, 4010, clock())

    assert late == []
    assert [one.number for one in await troubles.of("lamna", "lamna")] == [SENDER]
