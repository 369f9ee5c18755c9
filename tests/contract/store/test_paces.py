"""The pace of a number: under the provider's rate over all replicas, whatever their clocks do, and fair between endpoints."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from contract.store.conftest import Clock
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.planner.pace import Pacer, pace_of
from ehr_connector.store.paces import Pace, Paces
from ehr_connector.store.rates import Rates

NUMBER, BUCKET = "+18005550100", "b" * 43
PACE = Pace(timedelta(seconds=10), burst=3)
MINUTE = timedelta(minutes=1)


@dataclass
class Passing:
    """Time that passes, by whoever's clock the buckets go: a server's cannot be set, so their times come nearer instead."""

    engine: AsyncEngine
    clock: Clock
    began: datetime
    passed_s: float = 0.0

    def __call__(self) -> datetime:
        """Return the time."""
        real = datetime.now(UTC) - self.began if self.engine.dialect.name == "postgresql" else timedelta()
        return self.began + real + timedelta(seconds=self.passed_s)

    async def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.passed_s += seconds
        self.clock.pass_(seconds)
        if self.engine.dialect.name == "postgresql":
            aged = text("UPDATE rate SET window_ends_at = window_ends_at - make_interval(secs => :seconds)")
            async with self.engine.begin() as connection:
                await connection.execute(aged, {"seconds": seconds})


@pytest.fixture
def passing(engine: AsyncEngine, clock: Clock) -> Passing:
    return Passing(engine, clock, datetime.now(UTC))


@pytest.fixture
def pacer_of(passing: Passing, clock: Clock, secret: SecretKeys) -> Callable[[AsyncEngine], Pacer]:
    """Makes the pacer of a replica, in which time passes instead of being waited for."""

    async def sleep(seconds: float) -> None:
        await passing.pass_(seconds)
        await asyncio.sleep(0)

    return lambda engine: Pacer(Paces(engine, clock), lambda number: secret.name("pace", number), sleep=sleep)


async def test_after_a_rest_a_burst_may_come_and_then_one_an_interval(
    engine: AsyncEngine, clock: Clock, passing: Passing
) -> None:
    paces = Paces(engine, clock)

    async def taken(times: int) -> list[bool]:
        waits = [await paces.take(BUCKET, PACE) for _ in range(times)]
        assert all(wait is None or timedelta() < wait <= PACE.interval for wait in waits)
        return [wait is None for wait in waits]

    assert await taken(4) == [True, True, True, False]
    await passing.pass_(PACE.interval.total_seconds())
    assert await taken(2) == [True, False]
    await passing.pass_(60 * PACE.interval.total_seconds())
    assert await taken(4) == [True, True, True, False]


async def test_replicas_whose_clocks_differ_take_no_more_together_than_one_of_them(
    engine: AsyncEngine, other: AsyncEngine, clock: Clock
) -> None:
    ahead = Clock(clock() + 2 * PACE.interval)
    waits = [await one.take(BUCKET, PACE) for one in (Paces(engine, ahead), Paces(other, clock)) * 10]
    assert waits.count(None) == PACE.burst


async def test_replicas_share_one_bucket(engine: AsyncEngine, other: AsyncEngine, clock: Clock) -> None:
    replicas = [Paces(engine, clock), Paces(other, clock)] * 5
    waits = await asyncio.gather(*(one.take(BUCKET, PACE) for one in replicas))
    assert waits.count(None) == PACE.burst


async def test_a_clock_that_was_ahead_holds_nothing_up_once_it_is_right(
    engine: AsyncEngine, clock: Clock, passing: Passing
) -> None:
    paces = Paces(engine, clock)
    await passing.pass_(3600)
    await paces.take(BUCKET, PACE)
    await passing.pass_(-3600)

    assert await paces.take(BUCKET, PACE) is None


async def test_removing_expired_rates_removes_no_pace(engine: AsyncEngine, clock: Clock) -> None:
    paces, rates = Paces(engine, clock), Rates(engine, Clock(clock() + MINUTE))
    for _ in range(3):
        await paces.take(BUCKET, PACE)
    await rates.forget_expired()
    assert await paces.take(BUCKET, PACE) is not None


async def test_in_any_minute_two_replicas_send_no_more_than_the_provider_takes(
    engine: AsyncEngine, other: AsyncEngine, passing: Passing, pacer_of: Callable[[AsyncEngine], Pacer]
) -> None:
    sent = []

    async def send(pacer: Pacer, messages: int) -> None:
        for _ in range(messages):
            await pacer.take(NUMBER)
            sent.append(passing())

    await asyncio.gather(*(send(pacer_of(one), 150) for one in (engine, other)))

    busiest = max(sum(begins <= at < begins + MINUTE for at in sent) for begins in sent)
    assert busiest <= 200
    assert len(sent) / ((sent[-1] - sent[0]) / MINUTE) > 180  # and not much less


async def test_an_endpoint_with_few_messages_does_not_wait_for_one_with_many(
    engine: AsyncEngine, pacer_of: Callable[[AsyncEngine], Pacer]
) -> None:
    pacer, order = pacer_of(engine), []

    async def send(endpoint: str) -> None:
        await pacer.take(NUMBER, endpoint)
        order.append(endpoint)

    many = [asyncio.create_task(send("many")) for _ in range(40)]
    await asyncio.sleep(0)
    few = [asyncio.create_task(send("few")) for _ in range(3)]
    await asyncio.gather(*many, *few)

    assert Counter(order[:8])["few"] == 3
    assert len(order) == 43


async def test_who_is_cancelled_while_waiting_holds_nobody_up(
    engine: AsyncEngine, pacer_of: Callable[[AsyncEngine], Pacer]
) -> None:
    pacer = pacer_of(engine)
    waiting = [asyncio.create_task(pacer.take(NUMBER, str(number % 2))) for number in range(12)]
    await asyncio.sleep(0)
    for task in waiting[:10:2]:
        task.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)

    assert [type(one) for one in ended[:10:2]] == [asyncio.CancelledError] * 5
    assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == [None] * 7
    await asyncio.wait_for(pacer.take(NUMBER), 30)


@pytest.mark.parametrize(
    ("sender", "a_minute"), [("+18005550100", 200), ("12345", 6000), ("LAMNA", 600), ("+447700900123", 200)]
)
def test_a_sender_has_the_rate_that_the_provider_names(sender: str, a_minute: int) -> None:
    [pace] = pace_of(sender)
    assert MINUTE // pace.interval + pace.burst == a_minute


@pytest.mark.parametrize(
    ("sender", "a_minute", "an_hour"),
    [
        ("visits@lamna.example", 30, 100),
        ("DoNotReply@5f3c2a10-0000-4000-8000-000000000001.azurecomm.net", 5, 10),
    ],
)
async def test_emails_keep_to_the_rates_of_a_minute_and_of_an_hour(
    engine: AsyncEngine,
    passing: Passing,
    pacer_of: Callable[[AsyncEngine], Pacer],
    sender: str,
    a_minute: int,
    an_hour: int,
) -> None:
    pacer, sent = pacer_of(engine), list[datetime]()
    for _ in range(2 * an_hour):
        await pacer.take(sender)
        sent.append(passing())

    for window, most in ((MINUTE, a_minute), (60 * MINUTE, an_hour)):
        assert max(sum(begins <= at < begins + window for at in sent) for begins in sent) <= most
    assert len(sent) / ((sent[-1] - sent[0]) / (60 * MINUTE)) > 0.75 * an_hour


async def test_who_presses_a_button_goes_before_all_that_was_planned(
    engine: AsyncEngine, pacer_of: Callable[[AsyncEngine], Pacer]
) -> None:
    pacer, order = pacer_of(engine), list[str]()

    async def send(endpoint: str) -> None:
        await pacer.take(NUMBER, endpoint)
        order.append(endpoint)

    async def press() -> None:
        assert await pacer.take_soon(NUMBER)
        order.append("pressed")

    planned = [asyncio.create_task(send(str(number % 5))) for number in range(40)]
    await asyncio.sleep(0)
    await asyncio.gather(press(), *planned)

    assert order.index("pressed") <= 1  # one had its turn already
    assert len(order) == 41


async def test_who_presses_a_button_waits_no_longer_than_for_a_page(
    engine: AsyncEngine, clock: Clock, secret: SecretKeys
) -> None:
    slow = Pace(timedelta(hours=1), burst=1)
    paces = Paces(engine, clock)
    pacer = Pacer(paces, lambda number: secret.name("pace", number), pace_of=lambda _: (slow,), page_s=0.05)

    assert [await pacer.take_soon(NUMBER) for _ in range(2)] == [True, False]


async def test_a_turn_that_is_not_there_at_once_is_not_waited_for(
    engine: AsyncEngine, pacer_of: Callable[[AsyncEngine], Pacer]
) -> None:
    pacer = pacer_of(engine)
    waits = [await pacer.spare(NUMBER) for _ in range(11)]
    assert waits[:10] == [None] * 10
    assert timedelta() < (waits[10] or timedelta()) < timedelta(seconds=1)
