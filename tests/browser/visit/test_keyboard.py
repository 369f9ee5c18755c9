"""The whole visit by keyboard alone."""

from __future__ import annotations

from browser.visit.conftest import OpenChart, OpenPhone
from browser.visit.hospital import Hospital
from contract.visits.world import CLINICIAN
from playwright.sync_api import Locator, Page, expect

_STEPS = 40


def press_enter_on(page: Page, wanted: Locator) -> None:
    """Go by Tab to something, see that it shows where one is, and press Enter."""
    expect(wanted).to_be_visible()
    for _ in range(_STEPS):
        if wanted.evaluate("element => element === document.activeElement && document.hasFocus()"):
            break
        page.keyboard.press("Tab")
    expect(wanted).to_be_focused()
    assert wanted.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
    page.keyboard.press("Enter")


def test_clinician_and_patient_play_a_visit_by_keyboard_alone(
    hospital: Hospital, chart: OpenChart, phone: OpenPhone
) -> None:
    visit = hospital.book()
    clinician, patient = chart(7), phone()
    clinician.open(visit).shows("Sign in to Microsoft once")
    with clinician.page.context.expect_page() as opening:
        press_enter_on(clinician.page, clinician.frame.get_by_role("link", name="Sign in"))
    window = opening.value
    press_enter_on(window, window.locator(f"button[value='{CLINICIAN}']"))
    press_enter_on(window, window.get_by_role("button", name="Yes"))
    expect(window.get_by_role("heading", name="You are signed in")).to_be_visible()
    window.close()
    clinician.page.bring_to_front()
    clinician.shows("Video visits")

    patient.goto(visit.patient_link)
    press_enter_on(patient, patient.get_by_role("button", name="Join the visit"))
    press_enter_on(patient, patient.locator("#name"))
    patient.keyboard.type("Rosa")
    press_enter_on(patient, patient.locator("#join"))
    expect(patient.locator("#state[data-state=lobby]")).to_be_visible()

    clinician.status("Patient is waiting in the lobby")
    with clinician.page.context.expect_page() as opening:
        press_enter_on(clinician.page, clinician.frame.get_by_role("button", name="Join").first)
    teams = opening.value
    press_enter_on(teams, teams.locator("#join-as-user"))
    press_enter_on(teams, teams.get_by_role("button", name="Admit Rosa"))
    expect(patient.locator("#state[data-state=meeting]")).to_be_visible()
    clinician.status("Patient is in the visit")
    press_enter_on(teams, teams.locator("#end"))
    clinician.status("Patient left")
