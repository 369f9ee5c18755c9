"""The whole way: a clinician sends a link, the patient answers, and the connector goes by it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from contract.answers.queues import Queue
from contract.answers.texting_back import reading_clinic, says
from contract.visits.acting import tables, until
from contract.visits.clinic import Clinic, configured
from contract.visits.test_sending import press

from ehr_sandbox.local_ca import LocalCA


@pytest.fixture
async def clinic(tmp_path: Path, ca: LocalCA, queue: Queue) -> AsyncGenerator[Clinic]:
    """A hospital whose connector reads answers, and sends what clinicians ask for."""
    async with reading_clinic(tmp_path, ca, queue) as running:
        await configured(running)
        yield running


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
