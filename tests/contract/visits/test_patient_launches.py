"""Launches by patients, from a portal: they end on the link of today's visit, and never in a session."""

from __future__ import annotations

import html
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from contract.visits.acting import CORRELATION, HEADING
from contract.visits.world import OTHER_TENANT, Browser, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def world(clinic: World) -> AsyncGenerator[World]:
    """The hospital, undisturbed, and afterwards as it was."""
    yield clinic
    await clinic.undisturb()


async def launched(
    world: World, patient: str, *, browser: Browser | None = None, user: str | None = None, **query: str
) -> httpx.Response:
    """Launch as a portal does, and return the page at the end."""
    launch = await world.launch(patient, None, idToken={"fhirUser": user or f"{world.base_url()}/Patient/{patient}"})
    params = {"iss": world.base_url(), "launch": launch} | query
    browser = browser or world.browser()
    page = await browser.open(str(httpx.URL(f"{world.connector}/launch/patient", params=params)))
    assert not [one for one in browser.visited if "/clinician/" in one]
    return page


def says(page: httpx.Response, status: int, title: str) -> None:
    assert (page.status_code, HEADING.findall(html.unescape(page.text))) == (status, [title])
    assert CORRELATION.search(page.text)


async def test_a_patient_s_launch_ends_on_the_link_of_the_visit(world: World) -> None:
    patient = await world.patient()
    await world.book(patient)
    page = await launched(world, patient, record="lamna/lamna-test-patient")
    assert page.status_code == 200
    assert str(page.url).startswith(f"{world.connector}/v/")
    seen = {record["record"] for record in (await world.evidence())["records"]}
    assert "lamna-test-patient" in seen


async def test_who_acts_for_a_patient_gets_the_patient_s_link(world: World) -> None:
    patient = await world.patient()
    await world.book(patient)
    page = await launched(world, patient, user=f"{world.base_url()}/RelatedPerson/7")
    assert str(page.url).startswith(f"{world.connector}/v/")


async def test_a_clinician_gets_no_patient_s_link_by_the_patient_s_address(world: World) -> None:
    patient = await world.patient()
    await world.book(patient)
    page = await launched(world, patient, user=f"{world.base_url()}/Practitioner/12")
    says(page, 403, "The EHR did not prove who you are")


async def test_of_several_visits_the_open_one_that_is_nearest_is_meant(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    for start in ("2027-02-09T22:00:00Z", "2027-02-09T18:10:00Z", "2027-02-09T15:00:00Z"):
        await world.book(patient, start=start)
    page = await launched(world, patient)
    assert '<time datetime="2027-02-09T18:10:00+00:00">' in page.text


async def test_a_visit_that_goes_on_at_midnight_is_meant_after_it(world: World) -> None:
    patient = await world.patient()
    await world.book(patient, start="2027-02-10T05:50:00Z")
    world.clock.at = datetime(2027, 2, 10, 6, 5, tzinfo=UTC)  # 00:05 at the clinic
    assert '<time datetime="2027-02-10T05:50:00+00:00">' in (await launched(world, patient)).text


@pytest.mark.parametrize(
    "booking", [{"status": "cancelled"}, {"service": "Office Visit"}, {"starts_in": timedelta(days=2)}, None]
)
async def test_without_a_visit_today_the_page_says_so(world: World, booking: dict[str, Any] | None) -> None:
    patient = await world.patient()
    if booking is not None:
        await world.book(patient, **booking)
    says(await launched(world, patient), 404, "There is no video visit today")


async def test_the_record_s_address_by_itself_says_where_the_link_is(world: World) -> None:
    page = await world.browser().open(f"{world.connector}/launch/patient?record=lamna/lamna-test-patient")
    says(page, 200, "Open the link that you were sent")
    assert "+18005550199" in page.text


async def test_a_patient_s_launch_is_refused_as_a_clinician_s_is(world: World) -> None:
    patient = await world.patient()
    says(await launched(world, patient, iss="https://fhir.example/r4"), 403, "This EHR is not set up here")
    says(
        await launched(world, patient, record="lamna/lamna-production-patient"), 403, "Test and Production are mixed up"
    )
    production = await launched(world, patient, iss=world.base_url(OTHER_TENANT))
    says(production, 403, "Visits are not active yet at this endpoint")


@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 503}, {"action": "cut"}, {"action": "half_answer"}],
    ids=["503", "cut", "half"],
)
async def test_an_ehr_that_does_not_answer_is_said_to_be_away(world: World, fault: dict[str, Any]) -> None:
    patient = await world.patient()
    await world.fault(world.cerner, "/Appointment", **fault)
    says(await launched(world, patient), 502, "The EHR does not answer")
