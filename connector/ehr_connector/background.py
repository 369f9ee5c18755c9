"""Work that goes on beside requests, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

_log = logging.getLogger(__name__)
_PAUSE_S = 1.0
_PAUSE_MAX_S = 60.0
_CANCEL_AGAIN_S = 2.0
_CANCELLATIONS = 5

Work = Callable[[], Awaitable[None]]


class Rest:
    """A worker's pause, which ends sooner when somebody has something for it to do."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """End the pause, or the next one."""
        self._wake.set()

    async def __call__(self) -> None:
        """Pause. Spread, so that replicas do not ask the database together."""
        try:
            async with asyncio.timeout(self._seconds * random.uniform(0.8, 1.2)):  # noqa: S311 (no secret)
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


@asynccontextmanager
async def going_on(works: Mapping[str, Work]) -> AsyncGenerator[None]:
    """Run each of `works` for the time of the block; one that fails is begun again, after a pause that grows."""
    tasks = [asyncio.create_task(_kept_going(name, work), name=name) for name, work in works.items()]
    try:
        yield
    finally:
        await _end(tasks)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a TaskGroup whose child fails in the same moment swallows a cancellation."""
    pending = set(tasks)
    for _ in range(_CANCELLATIONS):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
    for task in pending:
        # A process that is asked to stop stops: a kubelet would kill it a little later anyway.
        _log.error("%s does not end, and is left behind", task.get_name())


async def every(seconds: float, work: Work) -> None:
    """Do `work` now and then."""
    while True:
        await work()
        await asyncio.sleep(seconds)


async def _kept_going(name: str, work: Work) -> None:
    pause_s = _PAUSE_S
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await work()
        except Exception:  # noqa: BLE001 (whatever it is, the rest of the process goes on)
            _log.exception("%s failed and is begun again", name)
        if loop.time() - began_s > _PAUSE_MAX_S:
            pause_s = _PAUSE_S
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _PAUSE_MAX_S)
