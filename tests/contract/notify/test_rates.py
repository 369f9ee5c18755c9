"""How fast messages go out: at the pace of their sender, and held up by nobody else's EHR. The provider is kept to its word."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from contract.notify.desk import DAY, HOUR, MINUTE, NOON, SENDER, Desk, drain, phone_of, site
from unit.connector.visiting import appointment

from ehr_connector.metrics import Metrics
from ehr_connector.notify.planner.pace import Pacer
from ehr_connector.notify.sender import Outcome, Sender
from ehr_connector.store.paces import Pace, Paces
from ehr_connector.visits.booking import booking
from ehr_connector.visits.events import Channel

EMAILS = {"enabled": True, "senderAddress": "visits@lamna.example"}


def one_each(interval: timedelta, burst: int) -> Sequence[Pace]:
    return (Pace(interval, burst),)


def emailing(desk: Desk) -> None:
    """Let who has no phone be written e-mails."""
    desk.site = site(emails=EMAILS)


def at_home(number: int) -> list[dict[str, Any]]:
    return [{"system": "email", "value": f"rosa{number}@home.example", "use": "home"}]


async def test_endpoints_whose_ehrs_are_slow_hold_up_nobody(desk: Desk) -> None:
    tools, answered = desk.tools(), asyncio.Event()
    empty = [desk.worker(tools=tools) for _ in range(11)]
    slow = {desk.book(NOON + 2 * DAY) for _ in range(40)}
    sound = {desk.book(NOON + 2 * DAY) for _ in range(5)}
    desk.slow = dict.fromkeys(slow, answered)
    *others, ours = empty
    for number, worker in enumerate(others):
        desk.read(worker, only=sorted(slow)[4 * number : 4 * number + 4])
        await worker.settle()
    desk.read(ours, only=sound)
    await ours.settle()
    waiting = [asyncio.create_task(drain(worker, at_once=4)) for worker in others]
    for _ in slow:
        await asyncio.wait_for(desk.slow_reads.acquire(), 30)
    await asyncio.wait_for(drain(ours, at_once=4), 30)
    first = await desk.by_phone()
    answered.set()
    await asyncio.gather(*waiting)

    assert first == dict.fromkeys(map(phone_of, sound), 1)
    assert (await desk.by_phone()).total() == 45


async def test_a_provider_that_names_a_time_is_left_alone_until_then(desk: Desk) -> None:
    visits = [desk.book(NOON + 2 * DAY) for _ in range(5)]
    desk.faults = ["429 90"] * 2
    worker = desk.worker()
    await desk.work(worker)
    waiting, calls = worker.held(), 2 - len(desk.faults)
    desk.faults = []
    for _ in range(8):
        desk.clock.at += timedelta(seconds=11)
        await desk.work(worker)
    before, reads = await desk.by_phone(), desk.patients_read
    desk.clock.at += timedelta(seconds=2)
    await desk.work(worker)

    assert (waiting, calls) == ({"provider_unavailable": 5}, 1)
    assert (before.total(), reads) == (0, 1)
    assert await desk.by_phone() == dict.fromkeys(map(phone_of, visits), 1)


async def test_an_email_in_place_of_a_text_goes_out_when_its_sender_has_a_turn(desk: Desk) -> None:
    emailing(desk)
    desk.telecom = {desk.book(NOON + 2 * DAY): at_home(number) for number in range(3)}
    engine = desk.engines[0]
    paces = {SENDER: one_each(MINUTE / 1000, 100), EMAILS["senderAddress"]: one_each(HOUR, 1)}
    desk.pacer = Pacer(Paces(engine, desk.clock), lambda sender: sender, pace_of=lambda sender: paces[sender])
    worker = desk.worker()
    await desk.work(worker)
    first, waiting = len(await desk.emails()), worker.held()
    paces[EMAILS["senderAddress"]] = one_each(MINUTE / 1000, 100)
    await desk.pass_(worker, 2 * HOUR, every=HOUR / 4)

    assert (first, waiting) == (1, {"rate_limited": 2})
    assert len(await desk.emails()) == 3
    assert desk.patients_read <= 6


async def test_a_press_takes_a_turn_of_the_number_and_without_one_sends_nothing_yet(desk: Desk) -> None:
    visit = desk.book(NOON + 2 * DAY)
    found = booking(desk.site, appointment(**desk.appointments[visit]))
    assert found is not None
    turns, asked = [False, True], list[str]()

    async def soon(sender: str) -> bool:
        asked.append(sender)
        return turns.pop(0)

    post = desk.tools().sender.post
    sender = Sender(post, post.sends, desk.secret, Metrics(), soon)
    outcomes = [await sender.send_link(found, visit, Channel.SMS)]
    before = await desk.by_phone()
    outcomes.append(await sender.send_link(found, visit, Channel.SMS))

    assert outcomes == [Outcome.RATE_LIMITED, Outcome.SENT]
    assert (before.total(), asked) == (0, [SENDER, SENDER])
    assert await desk.by_phone() == {phone_of(visit): 1}
