"""The patient's way against the real EHR stand-in and the real connector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from browser.visit.conftest import OpenChart, OpenPhone
from browser.visit.hospital import Hospital, into_lobby, until
from playwright.sync_api import Page, expect


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_an_early_patient_counts_down_and_the_button_comes_by_itself(hospital: Hospital, phone: OpenPhone) -> None:
    # The link opens 30 minutes before the visit.
    visit = hospital.book(starts_in=timedelta(minutes=30, seconds=12))
    page = phone()
    page.goto(visit.patient_link)
    expect(page.locator("[data-countdown]")).to_contain_text("second")
    expect(page.get_by_role("button", name="Join the visit")).to_have_count(0)

    expect(page.get_by_role("button", name="Join the visit")).to_be_visible(timeout=25_000)


def test_a_visit_that_is_cancelled_while_its_page_is_open_says_so_on_reload(
    hospital: Hospital, phone: OpenPhone
) -> None:
    visit = hospital.book()
    page = phone()
    page.goto(visit.patient_link)
    heading(page, "Your video visit")

    hospital.do(hospital.world.change(visit.id, status="cancelled"))

    def cancelled() -> bool:
        page.reload()
        return page.get_by_role("heading", level=1).inner_text() == "This visit was cancelled"

    until(page, cancelled)
    expect(page.get_by_role("link", name="+1 800-555-0199")).to_be_visible()
    expect(page.get_by_role("button", name="Join the visit")).to_have_count(0)


def test_a_visit_is_joined_without_script(hospital: Hospital, phone: OpenPhone) -> None:
    page = phone(java_script_enabled=False)

    into_lobby(page, hospital.book().patient_link, "Rosa")


def test_without_a_camera_the_clinic_is_told_and_the_visit_is_joined(
    hospital: Hospital, chart: OpenChart, phone: OpenPhone
) -> None:
    visit = hospital.book()
    board = chart().open(visit).signed_in()
    page = phone(camera=False)
    page.goto(visit.patient_link)

    page.get_by_role("button", name="Start the check").click()

    expect(page.get_by_text("Your browser was not allowed to use the camera or the microphone.")).to_be_visible()
    expect(board.frame.get_by_text("Device test: camera and microphone not allowed")).to_be_visible()
    into_lobby(page, visit.patient_link, "Rosa")
    board.status("Patient is waiting in the lobby")


def test_the_back_button_leads_from_teams_to_a_page_that_joins_again(hospital: Hospital, phone: OpenPhone) -> None:
    visit = hospital.book()
    page = phone()
    into_lobby(page, visit.patient_link, "Rosa")
    meeting = unquote(page.url).split("?")[0]

    while not page.url.startswith(hospital.world.connector):
        page.go_back()
    heading(page, "Your video visit")
    page.get_by_role("button", name="Join the visit").click()

    expect(page.locator("#join")).to_be_visible()
    assert unquote(page.url).startswith(meeting)


def test_previews_and_scanners_count_nothing_and_a_touch_does(
    hospital: Hospital, chart: OpenChart, phone: OpenPhone
) -> None:
    visit = hospital.book()
    board = chart().open(visit).signed_in()
    preview, scanner = phone(java_script_enabled=False), phone()
    preview.goto(visit.patient_link)
    answer = preview.request.head(visit.patient_link)
    scanner.goto(visit.patient_link)
    scanner.evaluate("document.body.click(); dispatchEvent(new KeyboardEvent('keydown', {bubbles: true}))")
    board.document.evaluate("location.reload()")
    board.status("Link not sent")

    scanner.keyboard.press("Shift")

    board.status("Patient opened the page")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"


def test_nothing_is_kept_in_the_patients_browser(hospital: Hospital, phone: OpenPhone) -> None:
    page = phone()
    page.goto(hospital.book().patient_link)
    page.get_by_role("button", name="Start the check").click()
    expect(page.locator("[data-result]")).to_be_attached()

    kept = page.evaluate(
        "async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length,"
        " (await caches.keys()).length, document.cookie]"
    )

    assert kept == [0, 0, 0, 0, ""]
    assert page.context.cookies() == []


def test_the_device_tests_address_names_the_organization_and_is_seen(hospital: Hospital, phone: OpenPhone) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    page = phone()
    address = f"{hospital.world.connector}/device-test?record=lamna/lamna-production-device-test"
    page.request.head(address)
    assert "lamna-production-device-test" not in records(hospital)

    page.goto(address)

    expect(page.get_by_text(hospital.world.document["displayName"])).to_be_visible()
    expect(page.get_by_role("link", name="+1 800-555-0199")).to_be_visible()
    assert records(hospital)["lamna-production-device-test"] >= began


def test_a_device_test_of_no_record_names_nobody_and_counts_nothing(hospital: Hospital, phone: OpenPhone) -> None:
    page = phone()
    before = records(hospital)

    for record in ("lamna/lamna-test-provider", "lamna/none-device-test", "elsewhere/lamna-test-device-test"):
        page.goto(f"{hospital.world.connector}/device-test?record={record}")
        heading(page, "Device test")
        expect(page.get_by_text(hospital.world.document["displayName"])).to_have_count(0)

    assert records(hospital) == before


def records(hospital: Hospital) -> dict[str, datetime]:
    found = hospital.do(hospital.world.evidence())["records"]
    return {one["record"]: datetime.fromisoformat(one["lastSeenLaunch"]) for one in found}
