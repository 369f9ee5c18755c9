"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio


async def awakened(wake: asyncio.Event, within_s: float | None) -> None:
    """Return when the event is set, or the time is over."""
    try:
        async with asyncio.timeout(within_s):
            await wake.wait()
    except TimeoutError:
        return
