"""Work beside requests: begun again when it fails, and ended whatever it does in that moment."""

from __future__ import annotations

import asyncio

import pytest

from ehr_connector import background
from ehr_connector.background import Rest, going_on


async def test_work_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_PAUSE_S", 0.0)
    begun = asyncio.Semaphore(0)

    async def failing() -> None:
        begun.release()
        raise ValueError

    async with going_on({"failing": failing}), asyncio.timeout(5):
        for _ in range(3):
            await begun.acquire()


async def test_an_end_is_an_end_also_for_work_that_swallows_it_once() -> None:
    waiting = asyncio.Event()
    swallowed: list[str] = []

    async def like_a_task_group() -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not swallowed:
                swallowed.append("the first")
                raise ValueError("a child failed in the same moment") from None
            raise

    async with asyncio.timeout(10):
        async with going_on({"group": like_a_task_group}):
            await waiting.wait()
    assert swallowed == ["the first"]


async def test_a_pause_ends_by_itself_or_when_there_is_something_to_do() -> None:
    brief, long = Rest(0.01), Rest(3600)
    async with asyncio.timeout(10):
        await brief()
        long.wake()  # before the pause: it is not lost
        await long()
        pause = asyncio.create_task(long())
        await asyncio.sleep(0)
        assert not pause.done()
        long.wake()
        await pause
