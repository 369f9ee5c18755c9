"""Many who want to read the same read it once, and nobody is told what was read before they asked."""

from __future__ import annotations

import asyncio

import pytest

from ehr_connector.clinician.shared_reads import SharedReads

ABREAST = 2


class Database:
    """Counts what is read, and answers when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.under_way = self.most = 0
        self.may_answer = asyncio.Event()
        self.failure: Exception | None = None
        self.version = 1

    async def read(self, name: str) -> int:
        """Return the version at the beginning."""
        self.begun.append(name)
        version, failure = self.version, self.failure
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.may_answer.wait()
        finally:
            self.under_way -= 1
        if failure is not None:
            raise failure
        return version


@pytest.fixture
async def database() -> Database:
    return Database()


@pytest.fixture
async def reads(database: Database) -> SharedReads[int]:
    return SharedReads(database.read, at_once=ABREAST)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_share_one_read(database: Database, reads: SharedReads[int]) -> None:
    asking = [asyncio.create_task(reads.read("visit")) for _ in range(1000)]
    await settled()
    database.may_answer.set()

    assert await asyncio.gather(*asking) == [1] * 1000
    assert database.begun == ["visit"]


async def test_who_asks_during_a_read_is_told_what_a_later_one_finds(
    database: Database, reads: SharedReads[int]
) -> None:
    early = asyncio.create_task(reads.read("visit"))
    await settled()
    database.version = 2
    late = [asyncio.create_task(reads.read("visit")) for _ in range(3)]
    await settled()
    database.may_answer.set()

    assert (await early, await asyncio.gather(*late)) == (1, [2, 2, 2])
    assert database.begun == ["visit", "visit"]


async def test_no_more_than_a_few_are_read_at_a_time_and_all_are_read(
    database: Database, reads: SharedReads[int]
) -> None:
    names = [f"visit-{number}" for number in range(50)]
    asking = [asyncio.create_task(reads.read(name)) for name in names]
    await settled()
    database.may_answer.set()

    assert await asyncio.gather(*asking) == [1] * 50
    assert (database.begun, database.most) == (names, ABREAST)


async def test_who_goes_away_takes_nobody_along(database: Database, reads: SharedReads[int]) -> None:
    going, staying = (asyncio.create_task(reads.read("visit")) for _ in range(2))
    await settled()
    going.cancel()
    await settled()
    database.may_answer.set()

    assert await staying == 1
    assert going.cancelled()


async def test_a_failure_is_told_to_all_who_share_it_and_the_next_read_is_a_new_one(
    database: Database, reads: SharedReads[int]
) -> None:
    database.may_answer.set()
    database.failure = OSError("gone")
    asking = [asyncio.create_task(reads.read("visit")) for _ in range(3)]

    found = await asyncio.gather(*asking, return_exceptions=True)

    assert [str(one) for one in found] == ["gone"] * 3
    database.failure = None
    assert await reads.read("visit") == 1
