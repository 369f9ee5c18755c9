"""What the messages of every endpoint need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.planner.planned import PlannedSender
from ehr_connector.store.notices import Notices

_DOUBTFUL = 8
"""Messages of endpoints that failed last which are under way at once, in a process."""


@dataclass(frozen=True, slots=True)
class NoticeTools:
    """The same for all endpoints of a process."""

    sender: PlannedSender
    notices: Notices
    take: Callable[[str, str], Awaitable[None]]
    """Waits until a message may go out from a number, for an endpoint."""
    secret: SecretKeys
    now: Callable[[], datetime]
    _doubtful: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_DOUBTFUL))

    @asynccontextmanager
    async def turn(self, sender: str, endpoint: str, *, doubtful: bool) -> AsyncGenerator[None]:
        """Wait until a message may go out from a sender, for an endpoint.

        Endpoints that failed last wait for each other, before they wait for the sender. Sound ones wait for nobody else's
        EHR: each has few messages under way, however slow its own is.
        """
        async with self._doubtful if doubtful else nullcontext():
            await self.take(sender, endpoint)
            yield
