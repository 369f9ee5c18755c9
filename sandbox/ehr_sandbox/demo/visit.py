"""The played visit: what the EHR admin sets up, what clinician and patient do, and what the operator makes of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Error as BrowserError
from playwright.async_api import FrameLocator, Locator, Page, expect

from ehr_sandbox.demo.browsers import Windows, windows
from ehr_sandbox.demo.layout import NAMESPACE, PATIENT_PHONE, TEST_TENANT
from ehr_sandbox.demo.report import Report, StepDetail, StepFailedError
from ehr_sandbox.demo.reports import read_reports
from ehr_sandbox.demo.system import System
from ehr_sandbox.graph.world import EXAMPLE_CLINICIAN

APP = "Teams visit"
"""What the PowerChart-like page calls the connector."""
_PRACTITIONER = "4122600"
_LOCATION = "21304876"
_PATIENT = {
    "given": "Rosalind",
    "family": "Quillfeather",
    "birthDate": "1984-02-29",
    "language": "en",
    "phone": PATIENT_PHONE,
}
_WAIT_S = 60.0
_READINGS = 3
"""Readings of coming visits: one that was under way, one that notes what stands there, and one that follows."""


@dataclass(slots=True)
class Visit:
    """A visit on its way: its appointment, and the pages that are open."""

    appointment: str
    windows: Windows
    chart: Page = field(repr=False)
    phone: Page = field(repr=False)
    teams: Page | None = field(default=None, repr=False)

    @property
    def frame(self) -> FrameLocator:
        """The connector's page inside the EHR."""
        return self.chart.frame_locator("iframe[name=mpage]")

    async def shows(self, text: str) -> None:
        """Wait until the clinician's page shows this live status; nothing is loaded again."""
        await expect(self.frame.locator("[data-field=text]").first).to_have_text(text)


async def set_up_ehr(system: System) -> None:
    """Do what the EHR admin does: copy the integration records into the EHR."""
    records = await system.kubectl.items("integrationrecords", NAMESPACE)
    launches = [record["spec"] for record in records if record["spec"].get("initiatedBy") == "Provider"]
    apps = {
        spec["clientID"]: {"id": spec["clientID"], "redirectUris": [spec["redirectURI"]], "jwksUrl": spec["jwksURL"]}
        for spec in launches
    }
    await _control(system, system.layout.cerner_url, "PUT", "clients", [*apps.values()])
    offers = [
        {
            "name": APP,
            "tenant": spec["fhirBaseURL"].rpartition("/")[2],
            "launchUrl": spec["launchURL"],
            "parameters": {parameter["name"]: parameter["value"] for parameter in spec["parameters"]},
        }
        for spec in launches
    ]
    await _control(system, system.layout.cerner_url, "PUT", "powerchart", offers)


async def play(system: System, report: Report, pictures: Path | None) -> None:
    """Play a visit in a real browser, from the launch to the promotion that follows from it and the report that tells of it."""
    async with windows(pictures) as opened:
        async with _step(report, "confirmation SMS delivered") as detail:
            await _read_by_connector(system)
            visit = await _book(system, opened)
            await _confirmation(system, visit)
            detail.text = f"on {system.layout.acs_url}/phone/{PATIENT_PHONE}, with the patient's link"
        async with _step(report, "clinician launched") as detail:
            await set_up_ehr(system)
            await _launch(system, visit)
            detail.text = "one sign-in to Microsoft in a window of its own; the board is in the EHR's frame"
        async with _step(report, "patient in the lobby") as detail:
            await _send_link(visit)
            await _enter_lobby(system, visit)
            detail.text = "by a tap on the link in the text, with no account; the clinician sent it once more"
        async with _step(report, "status shown to the clinician") as detail:
            await visit.shows("Patient is waiting in the lobby")
            await opened.picture(visit.chart, "06-clinician-lobby")
            await _eventually(lambda: _arrived(system, visit), "the appointment did not become arrived")
            detail.text = "pushed to the open page; the appointment is arrived"
        async with _step(report, "patient admitted") as detail:
            await _admit(visit)
            detail.text = "by the clinician, as co-organiser"
        async with _step(report, "visit ended") as detail:
            await _end(visit)
            detail.text = "by the clinician, for all"
    async with report.step("production promoted") as detail:
        await system.kubectl(
            "wait", "fhirendpoint/lamna-production", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=120s"
        )
        detail.text = "by the evidence of the visit on the Test endpoint"
    async with windows(pictures) as opened, _step(report, "visit in the report") as detail:
        detail.text = await read_reports(system, opened)


async def _book(system: System, opened: Windows) -> Visit:
    """Book a video visit in the EHR, and wait until the connector has written its links."""
    cerner = system.layout.cerner_url
    made = await _control(system, cerner, "POST", "patients", {"tenant": TEST_TENANT, **_PATIENT})
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    booking = {
        "tenant": TEST_TENANT,
        "patient": made["id"],
        "practitioner": _PRACTITIONER,
        "location": _LOCATION,
        "start": start.isoformat(),
    }
    booked = await _control(system, cerner, "POST", "appointments", booking)
    await _eventually(lambda: _links(system, booked["id"]), "the links were not written into the appointment")
    chart, phone = await opened.desk.new_page(), await opened.phone.new_page()
    return Visit(booked["id"], opened, chart, phone)


async def _launch(system: System, visit: Visit) -> None:
    """Open the chart; sign in to Microsoft in the window that opens; come back to the board."""
    pages = visit.windows
    address = f"{system.layout.cerner_url}/powerchart/{TEST_TENANT}/{_PRACTITIONER}"
    await visit.chart.goto(address)
    await pages.picture(visit.chart, "01-patient-list")
    await visit.chart.goto(f"{address}/{visit.appointment}?{urlencode({'app': APP})}")
    await expect(visit.frame.get_by_role("heading", name="Sign in to Microsoft once")).to_be_visible()
    await pages.picture(visit.chart, "02-sign-in-once")
    async with pages.desk.expect_page() as opening:
        await visit.frame.get_by_role("link", name="Sign in").click()
    window = await opening.value
    await window.locator(f"button[value='{EXAMPLE_CLINICIAN}']").click()
    await expect(window.locator(".matching")).to_be_visible()
    await pages.picture(window, "03-confirm")
    await window.get_by_role("button", name="Yes").click()
    await expect(window.get_by_role("heading", name="You are signed in")).to_be_visible()
    await window.close()
    # The frame learns of it by its own stream.
    await expect(visit.frame.get_by_role("heading", name="Video visits")).to_be_visible()
    await visit.shows("Link sent")
    await pages.picture(visit.chart, "04-board")


async def _read_by_connector(system: System) -> None:
    """Wait until the connector has read the EHR with all that it needs to send: what is booked from then on is new."""
    async with system.http() as http:

        async def reads() -> float:
            shown = (await http.get(f"{system.layout.connector_url}/metrics")).text
            found = re.search(r'^ehr_connector_appointment_reads_total{outcome="read"} ([0-9.]+)', shown, re.MULTILINE)
            return float(found[1]) if found else 0.0

        before = await reads()

        async def has_read() -> bool:
            return await reads() >= before + _READINGS

        await _eventually(has_read, "the connector did not read the EHR")


async def _confirmation(system: System, visit: Visit) -> None:
    """Find the text that confirms the visit on the patient's phone."""
    await _texts_with_links(system, visit, 1)
    await visit.windows.picture(visit.phone, "05-phone")


async def _texts_with_links(system: System, visit: Visit, count: int) -> Locator:
    """Wait until so many texts with a link are on the phone, and return the links, the newest first."""
    links = visit.phone.locator("article.got a")

    async def arrived() -> bool:
        await visit.phone.goto(f"{system.layout.acs_url}/phone/{PATIENT_PHONE}")
        return await links.count() >= count

    await _eventually(arrived, "the text did not arrive on the phone")
    return links


async def _send_link(visit: Visit) -> None:
    """Send the link once more, from the board."""
    await visit.frame.get_by_role("button", name="Send link by text message").first.click()
    await expect(visit.frame.get_by_text("The link was sent.")).to_be_visible()
    await visit.shows("Link sent")
    await visit.windows.picture(visit.chart, "04-link-sent")


async def _enter_lobby(system: System, visit: Visit) -> None:
    """Tap the link in the text that the clinician has sent, and go on to Teams."""
    pages, phone = visit.windows, visit.phone
    links = await _texts_with_links(system, visit, 2)
    await pages.picture(phone, "05-phone-link-sent")
    await links.first.tap()
    join = phone.locator("form[action$='/join'] button")
    await expect(join).to_be_visible()
    await pages.picture(phone, "05-patient")
    await join.click()
    await phone.locator("#name").fill("Rosalind")
    await phone.locator("#join").click()
    await expect(phone.locator("#state[data-state=lobby]")).to_be_visible()
    await pages.picture(phone, "05-patient-lobby")


async def _admit(visit: Visit) -> None:
    """Join from the board, and admit who waits."""
    pages = visit.windows
    async with pages.desk.expect_page() as opening:
        await visit.frame.get_by_role("button", name="Join").first.click()
    visit.teams = await opening.value
    await visit.teams.locator("#join-as-user").click()
    await visit.teams.get_by_role("button", name="Admit Rosalind").click()
    await expect(visit.phone.locator("#state[data-state=meeting]")).to_be_visible()
    await visit.shows("Patient is in the visit")
    await pages.picture(visit.teams, "07-teams-clinician")
    await pages.picture(visit.phone, "07-teams-patient")
    await pages.picture(visit.chart, "08-clinician-in-visit")


async def _end(visit: Visit) -> None:
    """End the meeting for all."""
    assert visit.teams is not None  # noqa: S101 (the steps are in order)
    await visit.teams.locator("#end").click()
    await expect(visit.phone.locator("#state[data-state=ended]")).to_be_visible()
    await visit.shows("Patient left")
    await visit.windows.picture(visit.chart, "09-clinician-ended")


@asynccontextmanager
async def _step(report: Report, name: str) -> AsyncGenerator[StepDetail]:
    """A step in the browser; what the browser missed is the step's failure."""
    async with report.step(name) as detail:
        try:
            yield detail
        except (BrowserError, AssertionError) as exc:
            raise StepFailedError(f"the browser did not see what it had to see: {exc}") from exc


async def _links(system: System, appointment: str) -> Any:
    return (await _appointment(system, appointment))["links"]


async def _arrived(system: System, visit: Visit) -> bool:
    return (await _appointment(system, visit.appointment))["status"] == "arrived"


async def _appointment(system: System, appointment: str) -> Any:
    path = f"appointments/{appointment}?tenant={TEST_TENANT}"
    return await _control(system, system.layout.cerner_url, "GET", path, None)


async def _eventually(look: Callable[[], Awaitable[Any]], otherwise: str) -> Any:
    try:
        async with asyncio.timeout(_WAIT_S):
            while True:
                found = await look()
                if found:
                    return found
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise StepFailedError(f"{otherwise} within {_WAIT_S:g} s") from None


async def _control(system: System, stand_in: str, method: str, path: str, body: Any) -> Any:
    async with system.http() as http:
        answer = await http.request(method, f"{stand_in}/_sandbox/{path}", json=body)
    if answer.is_error:
        raise StepFailedError(f"{method} {stand_in}/_sandbox/{path}: {answer.status_code} {answer.text[:500]}")
    return answer.json() if answer.content else None
