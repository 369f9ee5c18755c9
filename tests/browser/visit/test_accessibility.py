"""axe on the real pages, where they stand: the clinician's in the EHR's frame (WCAG 2.2 AA)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
from browser.visit.conftest import OpenChart, OpenPhone
from browser.visit.hospital import MIXED_UP, Hospital, into_lobby
from contract.visits.world import CLINICIAN
from playwright.sync_api import Frame, Page, expect

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def problems(page: Page | Frame) -> list[str]:
    """Return what axe finds in a page, or in a frame as a page of its own."""
    page.evaluate(_AXE)
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", _RULES)
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


def test_each_page_of_the_clinicians_way_is_accessible(hospital: Hospital, chart: OpenChart, phone: OpenPhone) -> None:
    visit = hospital.book()
    clinician = chart(3).open(visit)
    found: dict[str, list[str]] = {}
    clinician.shows("Sign in to Microsoft once")
    found["microsoft"] = problems(clinician.document)
    with clinician.page.context.expect_page() as opening:
        clinician.frame.get_by_role("link", name="Sign in").click()
    window = opening.value
    window.locator(f"button[value='{CLINICIAN}']").click()
    expect(window.get_by_role("button", name="Yes")).to_be_visible()
    found["confirm"] = problems(window)
    window.get_by_role("button", name="Yes").click()
    expect(window.get_by_role("heading", name="You are signed in")).to_be_visible()
    found["signed in"] = problems(window)
    window.close()
    clinician.shows("Video visits")
    found["board"] = problems(clinician.document)
    into_lobby(phone(), visit.patient_link, "Rosa")
    clinician.status("Patient is waiting in the lobby")
    expect(clinician.frame.locator("[data-waiting]")).to_be_visible()
    found["board with a waiting patient"] = problems(clinician.document)
    clinician.frame.locator("summary").click()
    found["links"] = problems(clinician.document)
    clinician.frame.get_by_role("button", name="Invite a guest").click()
    expect(clinician.frame.get_by_label("Guest's link").first).to_be_visible()
    found["guest's link"] = problems(clinician.document)

    assert {name: said for name, said in found.items() if said} == {}


def test_each_page_of_the_patients_way_is_accessible(hospital: Hospital, phone: OpenPhone) -> None:
    visit = hospital.book()
    page = phone()
    found: dict[str, list[str]] = {}
    page.goto(visit.patient_link)
    found["visit"] = problems(page)
    page.get_by_role("button", name="Start the check").click()
    expect(page.locator("[data-result]")).to_be_attached()
    found["device test"] = problems(page)
    for name, address in {
        "device test alone": "/device-test?record=lamna/lamna-test-device-test",
        "no link": "/v/none",
        "no page": "/v/none/none",
        "the record's address": "/launch/patient?record=lamna/lamna-test-patient",
    }.items():
        page.goto(hospital.world.connector + address)
        found[name] = problems(page)

    assert {name: said for name, said in found.items() if said} == {}


def test_a_launchs_error_is_accessible_in_the_frame(hospital: Hospital, chart: OpenChart) -> None:
    opened = chart().open(hospital.book(), MIXED_UP)
    opened.shows("Test and Production are mixed up")

    assert problems(opened.document) == []
