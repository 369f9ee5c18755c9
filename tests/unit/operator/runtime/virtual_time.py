"""An event loop whose clock jumps to the next timer, so that hours pass in no time and always in the same way."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

_TICK_S = 1e-6
"""Each turn of the loop takes some time, as on any machine: a pause too small to be added to the time ends too."""


class _Selector(selectors.DefaultSelector):
    """Does not wait: it hands the time that it was to wait to the loop."""

    waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        if timeout is None:
            raise AssertionError("everything waits and no timer is set: the test would hang")
        self.waited_s += max(timeout, _TICK_S)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and moves only while everything waits."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.waited_s
