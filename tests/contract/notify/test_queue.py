"""A long queue of due messages: it drains at the provider's rate, not above it and not much below, and memory stays flat."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract.notify.desk import DAY, NOON, Clock, Desk, drain, running_desk

from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.planner.pace import Pacer
from ehr_connector.notify.planner.planned import DueMessage, PlannedSender, Result, Tried
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate
from ehr_connector.store.paces import Paces
from ehr_connector.visits.booking import Booking

MINUTE, A_MINUTE, DUE = timedelta(minutes=1), 200, 500
_FRAMES = 12
"""Callers that are kept of each allocation: from a library back to the sender of messages."""


class Virtual(Clock):
    """A clock of which time passes by as much as somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and others go on."""
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@dataclass
class Counts:
    """What the provider saw: it counts instead of keeping."""

    clock: Clock
    last: deque[datetime] = field(default_factory=lambda: deque[datetime](maxlen=A_MINUTE))
    taken: int = 0
    refused: int = 0
    under_way: int = 0
    most_under_way: int = 0


@dataclass(frozen=True)
class Provider(PlannedSender):
    """Takes texts as the provider does: so many in any minute."""

    counts: Counts

    async def send(self, found: Booking, due: DueMessage) -> Tried:
        """Take a text, or refuse it."""
        seen = self.counts
        seen.under_way += 1
        seen.most_under_way = max(seen.most_under_way, seen.under_way)
        await asyncio.sleep(0)
        seen.under_way -= 1
        now = seen.clock()
        if len(seen.last) == A_MINUTE and now - seen.last[0] < MINUTE:
            seen.refused += 1
            return Tried(Result.PROVIDER_UNAVAILABLE)
        seen.last.append(now)
        seen.taken += 1
        return Tried(Result.SENT)


@pytest.fixture
async def one_desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    """A desk on SQLite, where time passes as a test says so."""
    new_keys(tmp_path / "keys", NOON - DAY)
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}")
    await migrate(engine)
    async with running_desk([engine], SecretKeys(tmp_path / "keys", lambda: datetime.now(UTC))) as found:
        found.clock = Virtual()
        await found.work(found.worker())
        yield found
    await engine.dispose()


def held_by_messages() -> int:
    """Return the bytes that are held of what was made on behalf of messages, in whichever library.

    Servers and pools of other tests live in the same process and take memory meanwhile.
    """
    ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/ehr_connector/notify/*", all_frames=True)
    return sum(one.size for one in tracemalloc.take_snapshot().filter_traces([ours]).traces)


async def test_hundreds_of_due_messages_drain_at_the_providers_rate_in_flat_memory(one_desk: Desk) -> None:
    desk, clock = one_desk, one_desk.clock
    assert isinstance(clock, Virtual)
    desk.pacer = Pacer(Paces(desk.engines[0], clock), lambda number: f"{number} bucket", sleep=clock.sleep)
    tools = desk.tools()
    provider, seen = tools.sender, Counts(clock)
    provider = Provider(provider.post, provider.sends, provider.metrics, provider.spare, seen)
    worker = desk.worker(tools=replace(tools, sender=provider))
    for _ in range(DUE):
        desk.book(NOON + 9 * DAY)
    desk.read(worker)
    await worker.settle()
    began = clock()
    tracemalloc.start(_FRAMES)
    await drain(worker, at_once=4)
    _, most = tracemalloc.get_traced_memory()
    grown = held_by_messages()
    tracemalloc.stop()
    minutes = (clock() - began) / MINUTE

    assert (seen.taken, seen.refused) == (DUE, 0)
    assert 180 <= DUE / minutes <= A_MINUTE
    assert seen.most_under_way <= 4
    assert worker.held() == {}
    # What is known of each visit stays, and nothing that grows with the queue besides.
    assert 0 < grown < 1_000 * DUE
    assert most < 1_000 * DUE + 2**20
