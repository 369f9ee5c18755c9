"""What ends a launch is read in the EHR's frame, and in no other site's."""

from __future__ import annotations

import re

from browser.visit.conftest import OpenChart
from browser.visit.hospital import MIXED_UP, Chart, Hospital
from playwright.sync_api import BrowserContext, Page, expect

_CORRELATION = re.compile("[0-9a-f]{32}")


def reference(chart: Chart) -> None:
    expect(chart.frame.locator(".reference code")).to_have_text(_CORRELATION)


def framed_elsewhere(page: Page, address: str) -> str:
    """Return what a frame of another site makes of an address."""
    html = f'<title>Elsewhere</title><iframe name="mpage" src="{address}"></iframe>'
    page.route("https://elsewhere.example/", lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto("https://elsewhere.example/")
    frame = page.frame(name="mpage")
    assert frame is not None
    return frame.url


def test_a_record_of_production_in_test_is_told_in_the_frame(hospital: Hospital, chart: OpenChart) -> None:
    opened = chart().open(hospital.book(), MIXED_UP)

    opened.shows("Test and Production are mixed up")
    expect(opened.frame.get_by_text("The launch came from lamna-test (Test)")).to_be_visible()
    expect(opened.frame.get_by_text("For the EHR administrator of your organization.")).to_be_visible()
    reference(opened)


def test_an_ehr_that_does_not_answer_is_told_in_the_frame(hospital: Hospital, chart: OpenChart) -> None:
    visit, world = hospital.book(), hospital.world
    hospital.do(world.fault(world.cerner, "/smart-v1/token$", action="status", status=503))
    try:
        opened = chart().open(visit)

        opened.shows("The EHR does not answer")
        expect(opened.frame.get_by_text("call the patient by phone")).to_be_visible()
        reference(opened)
    finally:
        hospital.do(world.control(world.cerner, "PUT", "faults", json=[]))


def test_a_board_that_was_copied_to_another_window_opens_nothing(
    hospital: Hospital, desk: BrowserContext, chart: OpenChart
) -> None:
    opened = chart(5).open(hospital.book())
    opened.shows("Sign in to Microsoft once")

    window = desk.new_page()
    answer = window.goto(opened.document.url)

    assert answer is not None
    assert answer.status == 400
    expect(window.get_by_role("heading", level=1)).to_have_text("This page belongs to another browser window")


def test_no_other_site_frames_our_pages(hospital: Hospital, desk: BrowserContext, chart: OpenChart) -> None:
    visit, world = hospital.book(), hospital.world
    opened = chart(5).open(visit)
    opened.shows("Sign in to Microsoft once")
    launch = f"{world.connector}/launch/provider?record=lamna/lamna-test-provider"

    seen = [framed_elsewhere(desk.new_page(), url) for url in (opened.document.url, launch, visit.patient_link)]

    assert seen == ["chrome-error://chromewebdata/"] * 3
