"""Tells pages that wait for the one sign-in that it is done, whichever replica saw it: one question a second for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.store.accounts import EhrAccount

_log = logging.getLogger(__name__)
_LOOK_S = 1.0


class Accounts(Protocol):
    """Who has signed in (`ehr_connector.store.accounts`)."""

    async def linked(self, users: Collection[EhrAccount]) -> set[EhrAccount]:
        """Return those of `users` who have."""
        ...


class SignIns:
    """The reader, and who waits for whom."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._waiting: dict[EhrAccount, set[asyncio.Event]] = defaultdict(set)
        self._anybody = asyncio.Event()

    @contextmanager
    def awaited(self, user: EhrAccount) -> Generator[asyncio.Event]:
        """Give what is set once the user has signed in, for the time of the block."""
        done = asyncio.Event()
        self._waiting[user].add(done)
        self._anybody.set()
        try:
            yield done
        finally:
            self._waiting[user].discard(done)
            if not self._waiting[user]:
                del self._waiting[user]
            if not self._waiting:
                self._anybody.clear()

    async def run(self) -> None:
        """Look for ever; while nobody waits, leave the database alone."""
        while True:
            await self._anybody.wait()
            try:
                linked = await self._accounts.linked(tuple(self._waiting))
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("who has signed in cannot be read: %s", type(exc).__name__)
                linked = set[EhrAccount]()
            for user in linked:
                for done in self._waiting.get(user, ()):
                    done.set()
            await asyncio.sleep(_LOOK_S)
