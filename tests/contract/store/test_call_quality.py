"""Call records to fetch and the figures of calls, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from contract.store.conftest import Clock
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.reports.quality.extraction import Leg
from ehr_connector.reports.quality.ports import Figures
from ehr_connector.store.call_records import CLAIM, CallRecordsToFetch, ToFetch
from ehr_connector.store.quality import Quality
from ehr_connector.store.schema import call_quality
from ehr_connector.store.tenant_subscriptions import TenantSubscription, TenantSubscriptions
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.events import Side
from ehr_connector.visits.meeting_digest import meeting_digest_of

TENANT = "9b1f2c00-0000-4000-8000-000000000001"
CALL = "c" * 43
START = datetime(2026, 11, 18, 15, tzinfo=UTC)
VISIT = VisitRow(
    visit="v" * 43,
    namespace="lamna",
    name="lamna",
    endpoint="e",
    environment="Test",
    profile_digest="d",
    department="cardiology",
    kind="patient",
    starts_at=START,
    ends_at=START + timedelta(minutes=30),
)
LEG = Leg(Side.PATIENT, START, 60, "wifi", "android", Figures(jitter_ms=12.5))


@pytest.fixture
def to_fetch(engine: AsyncEngine, clock: Clock) -> CallRecordsToFetch:
    return CallRecordsToFetch(engine, clock)


async def claimed(to_fetch: CallRecordsToFetch) -> ToFetch:
    (row,) = await to_fetch.claim(8)
    return row


async def nothing(_connection: AsyncConnection) -> None:
    """Follow with nothing."""


async def versions(engine: AsyncEngine) -> list[tuple[int, int, float]]:
    query = select(call_quality.c.leg, call_quality.c.version, call_quality.c.jitter_ms).order_by(call_quality.c.leg)
    async with engine.connect() as connection:
        return [(row.leg, row.version, row.jitter_ms) for row in await connection.execute(query)]


async def put(quality: Quality, version: int, *legs: Leg, visit: VisitRow = VISIT, call: str = CALL) -> bool:
    return await quality.put(call, version, visit, date(2026, 11, 18), legs, nothing)


async def test_workers_that_ask_at_once_get_different_records(
    to_fetch: CallRecordsToFetch, other: AsyncEngine, clock: Clock
) -> None:
    records = [f"record-{number}" for number in range(12)]
    await to_fetch.want(TENANT, records)

    claims = await asyncio.gather(*(one.claim(3) for one in [to_fetch, CallRecordsToFetch(other, clock)] * 3))

    found = [row.record for rows in claims for row in rows]
    assert len(found) == len(set(found))
    while rows := await to_fetch.claim(3):
        found += [row.record for row in rows]
    assert sorted(found) == sorted(records)


async def test_a_record_that_a_dead_worker_had_is_due_again(to_fetch: CallRecordsToFetch, clock: Clock) -> None:
    await to_fetch.want(TENANT, ["r"])
    await claimed(to_fetch)
    assert await to_fetch.claim(8) == ()

    clock.pass_(CLAIM.total_seconds())

    assert (await claimed(to_fetch)).record == "r"


async def test_a_record_that_is_told_of_while_it_is_fetched_is_fetched_once_more(
    to_fetch: CallRecordsToFetch, clock: Clock
) -> None:
    await to_fetch.want(TENANT, ["r"])
    first = await claimed(to_fetch)
    clock.pass_(1)
    await to_fetch.want(TENANT, ["r"])

    await to_fetch.done(first)
    again = await claimed(to_fetch)
    await to_fetch.done(again)
    clock.pass_(CLAIM.total_seconds())

    assert (again.record, await to_fetch.claim(8)) == ("r", ())


async def test_attempts_are_counted_and_begin_anew_when_microsoft_tells_again(
    to_fetch: CallRecordsToFetch, clock: Clock
) -> None:
    await to_fetch.want(TENANT, ["r", "r"])
    for attempts in range(3):
        row = await claimed(to_fetch)
        assert row.attempts == attempts
        await to_fetch.failed(row, clock())
    await to_fetch.want(TENANT, ["r"])

    assert (await claimed(to_fetch)).attempts == 0


async def test_a_newer_version_replaces_all_legs_of_the_older(engine: AsyncEngine) -> None:
    quality = Quality(engine)
    assert await put(quality, 1, LEG, LEG)

    assert await put(quality, 2, replace(LEG, figures=Figures(jitter_ms=31.0)))

    assert await versions(engine) == [(0, 2, 31.0)]


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_version_and_the_same_once_more_change_nothing(engine: AsyncEngine, version: int) -> None:
    quality = Quality(engine)
    await put(quality, 2, LEG)

    assert not await put(quality, version, LEG, LEG)

    assert await versions(engine) == [(0, 2, 12.5)]


async def test_what_follows_is_done_in_the_same_transaction_or_not_at_all(
    engine: AsyncEngine, to_fetch: CallRecordsToFetch, clock: Clock
) -> None:
    await to_fetch.want(TENANT, ["r"])
    row = await claimed(to_fetch)

    async def fails(connection: AsyncConnection) -> None:
        await to_fetch.done_in(connection, row)
        raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError, match="dies"):
        await Quality(engine).put(CALL, 1, VISIT, date(2026, 11, 18), [LEG], fails)
    clock.pass_(CLAIM.total_seconds())

    assert await versions(engine) == []
    assert (await claimed(to_fetch)).record == "r"


async def test_only_the_subscription_that_is_named_is_looked_at_again(engine: AsyncEngine, clock: Clock) -> None:
    rows = TenantSubscriptions(engine, clock)
    expires = clock() + timedelta(days=2)
    row = TenantSubscription(TENANT, "client", "https://x.example/graph/notifications", "s", expires, expires, 0)
    await rows.put(row)

    assert not await rows.look_now(TENANT, "another", removed=True)
    assert await rows.get(TENANT) == row
    assert await rows.look_now(TENANT, "s", removed=False)
    assert await rows.get(TENANT) == replace(row, expires_at=clock(), due_at=clock())
    assert await rows.look_now(TENANT, "s", removed=True)
    assert await rows.get(TENANT) == replace(row, subscription_id=None, expires_at=clock(), due_at=clock())
    await rows.remove(TENANT)
    assert await rows.get(TENANT) is None


KEY = "NDMyMTA5ODc2NTQzMjEwOTg3NjU0MzIxMDk4NzY1"


@pytest.mark.parametrize(
    "same",
    [
        f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{KEY}%40thread.v2/0?context=%7b%22Tid%22%3a%22t%22%7d",
        f"https://teams.cloud.microsoft/l/meetup-join/19%3Ameeting_{KEY}%40thread.v2/0?context=%7B%22Tid%22%3A%22t%22%7D",
        f"https://teams.microsoft.com/l/meetup-join/19:meeting_{KEY}@thread.v2/0?anon=true&context=%7b%22Tid%22%3a%22t%22%7d",
    ],
)
def test_a_meeting_has_one_digest_however_its_address_is_written(same: str) -> None:
    usual = (
        f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{KEY}%40thread.v2/0?context=%7b%22Tid%22%3a%22t%22%7d"
    )

    assert meeting_digest_of(same) == meeting_digest_of(usual)
    assert meeting_digest_of(usual) != meeting_digest_of(usual.replace(KEY, KEY.lower()))
    assert len(meeting_digest_of(usual)) == 43
