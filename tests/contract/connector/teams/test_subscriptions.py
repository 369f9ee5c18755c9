"""Who sees to a subscription, and when: on both databases, with a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate
from ehr_connector.store.subscriptions import CLAIM, SubscriptionRow, Subscriptions
from ehr_connector.store.visits import VisitRow
from ehr_connector.teams.subscriptions import Create, Delete, Renew, Step, Wait, plan

START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)


@dataclass
class Table:
    """The table, with its clock."""

    now: datetime
    rows: Subscriptions

    async def want(self, *visits: str) -> None:
        for visit in visits:
            await self.rows.want(visit, "lamna", "lamna", self.now)

    async def claimed(self) -> SubscriptionRow:
        (row,) = await self.rows.claim(8)
        return row


@pytest.fixture
async def table(database_url: str) -> AsyncGenerator[Table]:
    engine = open_database(database_url)
    await migrate(engine)
    made = Table(START, Subscriptions(engine, lambda: made.now))
    yield made
    await engine.dispose()


async def test_workers_that_ask_at_once_get_different_rows(table: Table) -> None:
    visits = [f"visit-{number}" for number in range(12)]
    await table.want(*visits)

    claims = await asyncio.gather(*(table.rows.claim(3) for _ in range(8)))

    found = [row.visit for rows in claims for row in rows]
    assert len(found) == len(set(found))
    while rows := await table.rows.claim(3):
        found += [row.visit for row in rows]
    assert sorted(found) == sorted(visits)


async def test_what_a_dead_worker_had_is_due_again_after_its_claim(table: Table) -> None:
    await table.want("v")
    await table.claimed()
    assert await table.rows.claim(8) == ()

    table.now += CLAIM

    assert (await table.claimed()).visit == "v"


async def test_a_worker_whose_claim_is_over_overwrites_nothing(table: Table) -> None:
    await table.want("v")
    late = await table.claimed()
    table.now += CLAIM
    mine = await table.claimed()
    await table.rows.stands(mine, "mine", START + timedelta(days=3), START + timedelta(days=2))

    await table.rows.stands(late, "late", START, START)

    found = await table.rows.get("v")
    assert found is not None
    assert found.subscription_id == "mine"


async def test_asking_again_changes_nothing_while_somebody_is_at_it(table: Table) -> None:
    await table.want("v")
    await table.claimed()

    assert not await table.rows.want("v", "lamna", "lamna", table.now)
    assert await table.rows.claim(8) == ()


async def test_a_visit_that_is_moved_forward_is_seen_to_earlier(table: Table) -> None:
    await table.rows.want("v", "lamna", "lamna", START + timedelta(days=9))

    assert await table.rows.want("v", "lamna", "lamna", START + timedelta(days=1))
    table.now += timedelta(days=1)

    assert (await table.claimed()).visit == "v"


async def test_attempts_that_failed_are_counted_and_forgotten_after_a_success(table: Table) -> None:
    await table.want("v")
    for attempts in range(3):
        row = await table.claimed()
        assert row.attempts == attempts
        await table.rows.failed(row, table.now)
    await table.rows.stands(await table.claimed(), "s", START, START)

    assert (await table.claimed()).attempts == 0


async def test_only_the_subscription_that_is_named_is_looked_at_again(table: Table) -> None:
    await table.want("v")
    later = START + timedelta(days=2)
    await table.rows.stands(await table.claimed(), "s", later, later)

    assert not await table.rows.look_now("v", "another", removed=True)
    assert await table.rows.claim(8) == ()
    assert await table.rows.look_now("v", "s", removed=True)
    assert (await table.claimed()).subscription_id is None


VISIT = VisitRow(
    visit="v",
    namespace="lamna",
    name="lamna",
    endpoint="e",
    environment="Test",
    profile_digest="d",
    department="d",
    kind="patient",
    starts_at=START,
    ends_at=START + timedelta(minutes=30),
)
NONE = SubscriptionRow("v", "lamna", "lamna", None, None, START, 0)
OVER = VISIT.ends_at + timedelta(hours=6)


def standing(expires_at: datetime) -> SubscriptionRow:
    return replace(NONE, subscription_id="s", expires_at=expires_at)


@pytest.mark.parametrize(
    ("row", "now", "step"),
    [
        (NONE, START - timedelta(days=5), Wait(START - timedelta(hours=12))),
        (NONE, START - timedelta(hours=12), Create(OVER)),
        (NONE, START, Create(OVER)),
        (NONE, OVER, Delete()),
        (standing(OVER), START, Wait(OVER)),
        (standing(OVER), OVER, Delete()),
        (standing(START + timedelta(hours=2)), START, Wait(START + timedelta(hours=1))),
        (standing(START + timedelta(hours=1)), START, Renew(OVER)),
        (standing(START - timedelta(hours=1)), START, Renew(OVER)),
    ],
)
def test_the_next_step_follows_from_the_time_alone(row: SubscriptionRow, now: datetime, step: Step) -> None:
    assert plan(row, VISIT, now) == step


def test_no_subscription_is_asked_for_longer_than_graph_allows() -> None:
    long = replace(VISIT, ends_at=START + timedelta(days=9))
    step = plan(NONE, long, START)
    assert isinstance(step, Create)
    assert step.expires < START + timedelta(days=3)
