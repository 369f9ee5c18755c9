"""An EHR that answers too late: whoever waits is told in time, whatever was asked of it."""

from __future__ import annotations

import html
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from contract.visits.acting import HEADING, LINK, Chart, signed_in
from contract.visits.world import World

from ehr_connector.ehr import access

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def chart(clinic: World, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Chart]:
    """A patient's chart, from when on the EHR is slower than anybody waits."""
    patient = await clinic.patient()
    visit = await clinic.book(patient)
    chart = await signed_in(clinic, patient, visit["encounter"])
    monkeypatch.setattr(access, "PAGE_S", 0.5)
    await clinic.fault(clinic.cerner, "/r4/|/token$", action="delay", delay_s=5)
    yield chart
    await clinic.undisturb()


async def test_a_slow_ehr_keeps_no_clinician_waiting_for_the_board(chart: Chart) -> None:
    page = await chart.reload()
    assert (page.status_code, HEADING.findall(page.text)) == (502, ["The EHR does not answer"])


async def test_a_slow_ehr_keeps_no_patient_waiting_for_whom_to_call(chart: Chart) -> None:
    link = html.unescape(LINK.findall(chart.page.text)[0])
    page = await chart.world.browser().open(link)
    assert (page.status_code, HEADING.findall(page.text)) == (503, ["We cannot find your visit just now"])
    assert "+18005550199" in page.text


async def test_a_slow_ehr_keeps_no_launch_waiting(chart: Chart) -> None:
    world = chart.world
    page = await world.browser().launch(await world.launch(await world.patient(), None))
    assert (page.status_code, HEADING.findall(page.text)) == (502, ["The EHR does not answer"])
