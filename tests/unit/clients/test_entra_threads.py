"""A slow Entra ID keeps nobody waiting who asks for something else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from ehr_clients.entra.applications import Applications


async def test_calls_that_wait_for_entra_leave_the_threads_of_the_process_free() -> None:
    credential: Any = None
    applications = Applications("https://login.example", credential=credential)
    answer = threading.Event()
    calls = [asyncio.create_task(applications.in_thread("get token", answer.wait)) for _ in range(64)]
    try:
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "a looked-up name") == "a looked-up name"
        assert not any(call.done() for call in calls)
    finally:
        answer.set()
        await asyncio.gather(*calls)
        await applications.close()
