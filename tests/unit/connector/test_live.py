"""Whoever watches a visit learns what happened in it, also while the log could not be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.background import going_on
from ehr_connector.store.events import Told
from ehr_connector.visits import live as live_module
from ehr_connector.visits.live import Live


class Log:
    """A log in which nothing new shows, and what reading it raises."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.reads = 0
        self.read_from: list[int] = []

    async def newest(self) -> int:
        """Return a number that grows."""
        return self.reads

    async def since(self, number: int) -> Sequence[Told]:
        """Return nothing, or fail once."""
        self.reads += 1
        self.read_from.append(number)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return []


@asynccontextmanager
async def reader(log: Log) -> AsyncGenerator[Live]:
    """A reader that goes on after a failure, as in the program."""
    untyped: Any = log
    live = Live(untyped)
    async with going_on({"tell": live.run}):
        yield live


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(live_module, "_FAILED_S", 0.01)
    monkeypatch.setattr("ehr_connector.background._PAUSE_S", 0.01)


@pytest.mark.parametrize("failure", [SQLAlchemyError("gone"), RuntimeError("surprise")], ids=["database", "unexpected"])
async def test_after_a_gap_every_watch_looks_at_its_visits(failure: Exception) -> None:
    log = Log()
    async with reader(log) as live:
        with live.watch(["a", "b"]) as one, live.watch(["c"]) as other:
            assert await one.changed(0.05) == set()
            log.failure = failure
            assert await one.changed(5) == {"a", "b"}
            assert await other.changed(5) == {"c"}
            assert await one.changed(0.05) == set()
    assert set(log.read_from) == {0}


async def test_who_begins_to_watch_later_is_told_of_no_gap() -> None:
    log = Log()
    async with reader(log) as live:
        with live.watch(["a"]) as first:
            assert await first.changed(0.05) == set()
        await asyncio.sleep(0.05)
        with live.watch(["a"]) as later:
            assert await later.changed(0.05) == set()
