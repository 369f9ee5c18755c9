"""The queue of answers, where Azurite is on this machine already: it is too large to be fetched for a look."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx

from ehr_sandbox.azurite.finding import find
from ehr_sandbox.azurite.running import AzuriteError, running

_QUEUE = "acs-events"


async def open_queue(stack: AsyncExitStack) -> str | None:
    """Return the address of a queue, with its signature, or None: then nobody answers STOP and HELP.

    `python -m ehr_sandbox azurite` brings Azurite here.
    """
    command = await asyncio.to_thread(find)
    if command is None:
        return None
    try:
        service = await stack.enter_async_context(running(command))
        return await service.create_queue(_QUEUE)
    except (AzuriteError, httpx.HTTPError):
        return None
