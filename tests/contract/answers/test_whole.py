"""The whole way: a clinician sends a link, the patient answers, and the connector goes by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from contract.answers.queues import Queue
from contract.visits.acting import tables, until
from contract.visits.clinic import SENDER, Clinic, configured, running_clinic
from contract.visits.test_sending import press

from ehr_sandbox.local_ca import LocalCA


@pytest.fixture
async def clinic(tmp_path: Path, ca: LocalCA, queue: Queue) -> AsyncGenerator[Clinic]:
    """A hospital whose connector reads answers."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}"
    async with running_clinic(tmp_path, ca, url, queue_url=queue.url) as running:
        await configured(running)
        yield running


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


async def test_a_patient_says_stop_and_is_sent_nothing_until_start_and_asks_for_help(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    first = await press(chart)
    await says(clinic, phone, "Stop")
    second = await press(chart)
    await says(clinic, phone, "START")
    third = await press(chart)
    await says(clinic, phone, "ayuda")

    async def are_reported() -> bool:
        rows = (await tables(clinic.world))["send"]
        return {row["state"] for row in rows} == {"delivered", "not_sent"}

    await until(are_reported, seconds=60)
    written = await tables(clinic.world)

    assert first == third == ("good", "The link was sent.")
    assert second == ("warn", "Not sent: the patient wants no messages.")
    texts = await clinic.texts(phone)
    assert [text["message"].startswith("Lamna Healthcare") for text in texts] == [True] * 3
    assert "+18005550199" in texts[-1]["message"]
    states = {(row["state"], row["reason"]) for row in written["send"]}
    assert states == {("delivered", "2000"), ("not_sent", "opted_out")}
    assert phone.removeprefix("+1") not in str({name: rows for name, rows in written.items() if name != "organization"})
