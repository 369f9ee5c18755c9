"""Pages that wait for the sign-in: each learns of its own, and the database is asked once for all."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import ExitStack

import pytest
from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.background import going_on
from ehr_connector.clinician import waiting
from ehr_connector.clinician.waiting import SignIns
from ehr_connector.store.accounts import EhrAccount

ADA, BEN = (
    ("https://ehr.example/r4/1", "Practitioner/1", "tenant"),
    ("https://ehr.example/r4/1", "Practitioner/2", "tenant"),
)


class Book:
    """Who has signed in."""

    def __init__(self) -> None:
        self.signed_in: set[EhrAccount] = set()
        self.asked: list[set[EhrAccount]] = []
        self.is_away = False

    async def linked(self, users: Collection[EhrAccount]) -> set[EhrAccount]:
        """Return who has."""
        self.asked.append(set(users))
        if self.is_away:
            raise SQLAlchemyError
        return self.signed_in & set(users)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_LOOK_S", 0.01)


async def asked_again(book: Book) -> None:
    async with asyncio.timeout(10):
        before = len(book.asked)
        while len(book.asked) <= before + 1:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.005)


async def test_all_pages_that_wait_are_one_question() -> None:
    book = Book()
    sign_ins = SignIns(book)
    async with going_on({"sign-ins": sign_ins.run}):
        with ExitStack() as stack:
            pages = [stack.enter_context(sign_ins.awaited(who)) for who in [ADA, BEN] * 50]
            await asked_again(book)
            book.signed_in = {ADA}
            async with asyncio.timeout(10):
                await asyncio.gather(*(page.wait() for page in pages[::2]))
    assert all(users == {ADA, BEN} for users in book.asked)
    assert not any(page.is_set() for page in pages[1::2])


async def test_while_nobody_waits_the_database_is_left_alone() -> None:
    book = Book()
    sign_ins = SignIns(book)
    async with going_on({"sign-ins": sign_ins.run}):
        with sign_ins.awaited(ADA):
            await asked_again(book)
        await asyncio.sleep(0.03)
        asked = len(book.asked)
        await asyncio.sleep(0.05)
    assert len(book.asked) == asked


async def test_a_page_waits_on_while_the_database_is_away() -> None:
    book = Book()
    book.is_away = True
    sign_ins = SignIns(book)
    async with going_on({"sign-ins": sign_ins.run}):
        with sign_ins.awaited(ADA) as page:
            await asked_again(book)
            book.is_away, book.signed_in = False, {ADA}
            async with asyncio.timeout(10):
                await page.wait()
    assert page.is_set()
