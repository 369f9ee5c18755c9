"""A clinic whose connector reads what comes back, and what its patients text."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from contract.answers.queues import Queue
from contract.visits.clinic import SENDER, Clinic, running_clinic

from ehr_sandbox.local_ca import LocalCA


def reading_clinic(work: Path, ca: LocalCA, queue: Queue) -> AbstractAsyncContextManager[Clinic]:
    """Run a hospital whose connector reads answers."""
    return running_clinic(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}", queue_url=queue.url)


async def says(clinic: Clinic, phone: str, word: str) -> None:
    """Let a person text, and wait until the connector has dealt with it."""
    before = await answers(clinic)
    text = {"from": phone, "to": SENDER, "message": word}
    await clinic.world.control(clinic.acs, "POST", "messages", json={"inbound": [text]})
    async with asyncio.timeout(60):
        while await answers(clinic) == before:  # noqa: ASYNC110 (the connector does it)
            await asyncio.sleep(0.2)


async def answers(clinic: Clinic) -> float:
    """How many texts of patients the connector has dealt with, as its metrics say."""
    page = await clinic.world.http.get(f"{clinic.world.connector}/metrics")
    lines = [line for line in page.text.splitlines() if line.startswith('ehr_connector_answers_total{kind="text",')]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
