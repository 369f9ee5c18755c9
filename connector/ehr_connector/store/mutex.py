"""One at a time over all replicas: for what is read at a remote system, changed, and written back there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.leases import Leases

_LIFE = timedelta(seconds=30)
"""Longer than the calls that it covers; who dies inside keeps others waiting for so long at the most."""
_RETRY_S = 0.1


class Mutex:
    """Takes a lease for the time of a block."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    @asynccontextmanager
    async def held(self, name: str) -> AsyncGenerator[None]:
        """Wait until nobody else is in a block of this name."""
        leases = Leases(self._engine, uuid4().hex, self._now)
        while name not in await leases.take([name], _LIFE):  # noqa: ASYNC110 (another process has it)
            await asyncio.sleep(_RETRY_S)
        try:
            yield
        finally:
            await asyncio.shield(leases.release())
