"""Runs the reconciles of one kind, as many at a time as it has places.

A reconcile that waits for long gives its place to another and goes on aside, so that servers which hang do not hold up
the objects of others. An object that was slow the last time begins aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ehr_operator.runtime.model import Key, Kind

SLOW_S = 0.25
"""A reconcile that lasts longer waits for a server, or for a machine that is busy anyway."""
ASIDE = 8
"""Reconciles aside for each place: beyond that, slow ones keep their places."""


class Workers:
    """The reconciles under way."""

    def __init__(self, kind: Kind[Any, Any], slow: set[Key], on_free: Callable[[], None]) -> None:
        """`slow` holds the objects whose last reconcile was slow; `on_free` is told when another may be begun."""
        self._kind = kind
        self._slow = slow
        self._on_free = on_free
        self._tasks: set[asyncio.Task[None]] = set()
        self._aside: set[asyncio.Task[None]] = set()
        self._overdue: dict[asyncio.Task[None], None] = {}
        """Slow ones for which there was no room aside, the longest first."""

    def __len__(self) -> int:
        """Return how many reconciles are under way."""
        return len(self._tasks)

    @property
    def free(self) -> bool:
        """Whether another reconcile may begin."""
        return len(self._tasks) - len(self._aside) < self._kind.workers

    def begin(self, key: Key, work: Coroutine[Any, Any, None]) -> None:
        """Begin a reconcile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        if key in self._slow and len(self._aside) < self._most_aside:
            self._aside.add(task)
        timer = asyncio.get_running_loop().call_later(SLOW_S, self._grew_slow, key, task)
        self._slow.discard(key)

        def ended(_: asyncio.Task[None]) -> None:
            timer.cancel()
            self._tasks.discard(task)
            self._aside.discard(task)
            self._overdue.pop(task, None)
            self._make_room()
            self._on_free()

        task.add_done_callback(ended)

    async def end(self, grace_s: float) -> None:
        """Wait for what is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)

    def cancel(self) -> None:
        """Cut what is still under way."""
        for task in self._tasks:
            task.cancel()

    @property
    def _most_aside(self) -> int:
        return ASIDE * self._kind.workers

    def _grew_slow(self, key: Key, task: asyncio.Task[None]) -> None:
        if task.done():
            return
        self._slow.add(key)
        if task not in self._aside:
            self._overdue[task] = None
            self._make_room()
            self._on_free()

    def _make_room(self) -> None:
        while self._overdue and len(self._aside) < self._most_aside:
            task = next(iter(self._overdue))
            del self._overdue[task]
            self._aside.add(task)
