"""One at a time over all replicas: for what is read at a remote system, changed, and written back there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.leases import Leases

_log = logging.getLogger(__name__)

_LIFE = timedelta(seconds=30)
"""Who dies inside keeps others waiting for so long at the most."""
_LONGEST_S = 25.0
"""Shorter than the lease lives: nobody is still inside when it passes on."""
_RETRY_S, _LONGEST_RETRY_S = 0.1, 1.0


class Mutex:
    """Takes a lease for the time of a block."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime], longest_s: float = _LONGEST_S) -> None:
        self._engine = engine
        self._now = now
        self._longest_s = longest_s

    @asynccontextmanager
    async def held(self, name: str) -> AsyncGenerator[None]:
        """Wait until nobody else is in a block of this name.

        Raises:
            TimeoutError: Waiting and the block together took longer than the lease is sure to be ours.
        """
        leases = Leases(self._engine, uuid4().hex, self._now)
        try:
            async with asyncio.timeout(self._longest_s):
                retry_s = _RETRY_S
                while name not in await leases.take([name], _LIFE):
                    await asyncio.sleep(retry_s)
                    retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
                yield
        finally:
            await asyncio.shield(_released(leases))


async def _released(leases: Leases) -> None:
    """Give the lease back; when that fails it expires, and what the block returned or raised is what counts."""
    try:
        await leases.release()
    except SQLAlchemyError as exc:
        _log.warning("a lease could not be given back and is left to expire: %s", type(exc).__name__)
