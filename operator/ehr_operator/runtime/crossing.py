"""Hands calls over from the thread of the watch to the loop that reconciles, in order and a few at a time.

At a start there are thousands: all at once they would hold the loop for seconds, in which no lease is renewed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_AT_ONCE = 20
"""Calls until others in the loop have their turn; one takes a fraction of a millisecond."""


class Crossing:
    """Makes calls in a loop, whichever thread they come from."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], object]] = deque()
        self._under_way = False

    def put(self, call: Callable[[], object]) -> None:
        """Have a call made, from whichever thread."""
        self._waiting.append(call)
        if not self._under_way:
            self._under_way = True
            with suppress(RuntimeError):  # the loop is closed: we are ending
                self._loop.call_soon_threadsafe(self._make_some)

    def _make_some(self) -> None:
        self._under_way = False  # before looking: whoever puts a call from now on sees to it that it is made
        for _ in range(_AT_ONCE):
            if not self._waiting:
                return
            try:
                self._waiting.popleft()()
            except Exception as exc:  # noqa: BLE001 (one object must not stop the others)
                self._loop.call_exception_handler(
                    {"message": "what the watch brought was not taken in", "exception": exc}
                )
        self._under_way = True
        self._loop.call_soon(self._make_some)
