"""Puts the events into a Storage queue, as an Event Grid subscription with that destination does.

At least once: an event whose answer was lost is put again, and so are those that came out of order before it. The settings
make them late, reversed or repeated. Source: Azure Storage, "Put Message"; Event Grid, "Storage queues
as event handlers" (one event a message, base64 of its JSON).
"""

from __future__ import annotations

import asyncio
import base64
import json
from xml.sax.saxutils import escape

import httpx

from ehr_sandbox.acs.passing_time import settle
from ehr_sandbox.acs.state_file import Store
from ehr_sandbox.acs.world import World

_PAUSE_S = 0.2
_TIMEOUT_S = 5.0


class Courier:
    """Brings new events to one queue."""

    def __init__(self, world: World, store: Store, queue_url: str) -> None:
        """`queue_url` is the address of the queue, with a shared access signature as its query where it needs one."""
        self._world = world
        self._store = store
        address = httpx.URL(queue_url)
        self._messages = address.copy_with(path=f"{address.path.rstrip('/')}/messages")

    async def run(self) -> None:
        """Bring events until cancelled."""
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            while True:
                if settle(self._world):
                    self._store.save(self._world.state)
                if not self._world.behaviour.hold_events:
                    await self._bring(http)
                await asyncio.sleep(_PAUSE_S)

    async def _bring(self, http: httpx.AsyncClient) -> None:
        messages, behaviour = self._world.state.messages, self._world.behaviour
        size = len(messages.events) - messages.queued if behaviour.reverse_events else 1
        while size > 0 and messages.queued < len(messages.events):
            batch = messages.events[messages.queued : messages.queued + size][::-1]
            for event in [event for event in batch for _ in range(behaviour.event_copies)]:
                if not await self._put(http, event):
                    return
            messages.queued += len(batch)
            self._store.save(self._world.state)

    async def _put(self, http: httpx.AsyncClient, event: object) -> bool:
        text = base64.b64encode(json.dumps(event).encode()).decode()
        body = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>"
        try:
            answer = await http.post(self._messages, content=body, headers={"Content-Type": "application/xml"})
        except httpx.HTTPError:
            return False
        return answer.is_success
