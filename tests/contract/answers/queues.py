"""A queue in Azurite, and the vendor's client for it."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

from azure.eventgrid import EventGridEvent
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient


@dataclass(frozen=True)
class Queue:
    """One queue."""

    url: str
    """With a signature that lets in whoever has it."""

    def vendor(self, **options: Any) -> QueueClient:
        """Return the vendor's client, at a version of the service that Azurite has too."""
        return QueueClient.from_queue_url(self.url, api_version="2025-11-05", **options)

    async def put(self, *texts: str) -> None:
        """Put messages as they are."""
        async with self.vendor() as client:
            for text in texts:
                await client.send_message(text)

    async def put_event(self, *events: Any) -> None:
        """Put events as Event Grid does."""
        await self.put(*(base64.b64encode(json.dumps(event).encode()).decode() for event in events))

    async def events(self, count: int) -> list[EventGridEvent]:
        """Take events by the vendor's clients until there are so many."""
        taken: list[EventGridEvent] = []
        async with self.vendor(message_decode_policy=TextBase64DecodePolicy()) as client, asyncio.timeout(30):
            while len(taken) < count:
                async for message in client.receive_messages(messages_per_page=32):
                    taken.append(EventGridEvent.from_json(message.content))
                    await client.delete_message(message)
                await asyncio.sleep(0.05)
        return taken

    async def size(self) -> int:
        """Return how many messages there are, hidden ones among them."""
        async with self.vendor() as client:
            return (await client.get_queue_properties()).approximate_message_count or 0

    async def holds(self, count: int) -> None:
        """Wait until there are so many messages."""
        async with asyncio.timeout(30):
            while await self.size() != count:  # noqa: ASYNC110 (the queue is another server's)
                await asyncio.sleep(0.1)
