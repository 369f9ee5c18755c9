"""What the messages of every endpoint need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.planner.planned import PlannedSender
from ehr_connector.store.notices import Notices

_SENDING, _DOUBTFUL = 32, 8


@dataclass(frozen=True, slots=True)
class NoticeTools:
    """The same for all endpoints of a process."""

    sender: PlannedSender
    notices: Notices
    take: Callable[[str, str], Awaitable[None]]
    """Waits until a message may go out from a number, for an endpoint."""
    secret: SecretKeys
    now: Callable[[], datetime]
    _sound: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SENDING))
    _doubtful: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_DOUBTFUL))

    def sending(self, *, doubtful: bool) -> AbstractAsyncContextManager[None]:
        """Hold a place among those that send; endpoints that failed last wait for each other and not for the sound ones."""
        return self._doubtful if doubtful else self._sound
