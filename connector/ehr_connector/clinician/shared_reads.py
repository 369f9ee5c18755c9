"""Reads that many open pages want at the same moment: each is made once for all of them, and few are under way at a time.

A page with a visit of its own gains nothing. But after an outage of the database every page looks again at once, and
thousands of reads would wait for its few connections until they gave up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class SharedReads(Generic[Found]):
    """Shares a read of a name among all who want it before it begins."""

    def __init__(self, read: Callable[[str], Awaitable[Found]], *, at_once: int) -> None:
        self._read = read
        self._turns = asyncio.Semaphore(at_once)
        self._to_begin: dict[str, asyncio.Task[Found]] = {}

    async def read(self, name: str) -> Found:
        """Return what a read that begins from now on finds: one that is under way may have passed over what the caller heard of.

        Raises:
            Exception: What the read raises, for all who share it.
        """
        if name not in self._to_begin:
            self._to_begin[name] = asyncio.create_task(self._begin(name))
        # Whoever goes away takes nobody along.
        return await asyncio.shield(self._to_begin[name])

    async def _begin(self, name: str) -> Found:
        async with self._turns:
            del self._to_begin[name]
            return await self._read(name)
