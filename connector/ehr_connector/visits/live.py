"""Tells open streams that something happened in a visit, whichever replica learnt it.

One reader a process looks at the log of events, however many streams are open; a stream then looks at its own visit.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.store.events import Events

_log = logging.getLogger(__name__)
_LOOK_S = 0.25
_FAILED_S = 2.0


class Watch:
    """One stream's interest in some visits."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    def tell(self, visit: str) -> None:
        """Note that something happened in `visit`."""
        self._changed.add(visit)
        self._wake.set()

    async def changed(self, timeout_s: float) -> set[str]:
        """Return the visits in which something happened since the last call; empty after `timeout_s` without any."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return set()
        self._wake.clear()
        changed, self._changed = self._changed, set()
        return changed


class Live:
    """The reader, and who watches what."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._watched = asyncio.Event()
        self._number: int | None = None
        """Up to where the log was read; it outlives a failure of the reader."""
        self._gap = False
        """Whether the log was not read for a time: what was told late may have been passed over."""

    @property
    def streams(self) -> int:
        """How many watches there are."""
        return len({watch for watches in self._watches.values() for watch in watches})

    @contextmanager
    def watch(self, visits: Iterable[str]) -> Generator[Watch]:
        """Watch visits for the time of the block. Look at their status after this begins, and nothing is missed."""
        watch = Watch()
        names = set(visits)
        for name in names:
            self._watches[name].add(watch)
        self._watched.set()
        try:
            yield watch
        finally:
            for name in names:
                self._watches[name].discard(watch)
                if not self._watches[name]:
                    del self._watches[name]
            if not self._watches:
                self._watched.clear()

    async def run(self) -> None:
        """Read the log for ever; while nobody watches, leave the database alone."""
        self._gap = self._gap or self._number is not None
        seen: set[int] = set()
        while True:
            if not self._watches:
                self._number, self._gap = None, False
                await self._watched.wait()
            try:
                if self._number is None:
                    self._number, seen = await self._events.newest(), set()
                told = await self._events.since(self._number)
            except (SQLAlchemyError, OSError) as exc:
                self._gap = True
                _log.warning("the log of events cannot be read: %s", type(exc).__name__)
                await asyncio.sleep(_FAILED_S)
                continue
            if self._gap:
                self._tell_all()
                self._gap = False
            for one in told:
                if one.number not in seen:
                    for watch in self._watches.get(one.visit, ()):
                        watch.tell(one.visit)
            # What is told again because it may have come late is recognised by its number.
            seen = {one.number for one in told}
            self._number = max([self._number, *seen])
            await asyncio.sleep(_LOOK_S)

    def _tell_all(self) -> None:
        for visit, watches in self._watches.items():
            for watch in watches:
                watch.tell(visit)
