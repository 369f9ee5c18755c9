"""The one sign-in to Microsoft, when it does not come about."""

from __future__ import annotations

from browser.visit.conftest import OpenChart
from browser.visit.hospital import Chart, Hospital
from contract.visits.world import CLINICIAN
from playwright.sync_api import Page, expect


def window_of(chart: Chart) -> Page:
    chart.shows("Sign in to Microsoft once")
    with chart.page.context.expect_page() as opening:
        chart.frame.get_by_role("link", name="Sign in").click()
    return opening.value


def test_who_cancels_at_microsoft_may_try_again(hospital: Hospital, chart: OpenChart) -> None:
    opened = chart(5).open(hospital.book())
    window = window_of(opened)

    window.get_by_role("button", name="Cancel").click()

    expect(window.get_by_role("heading", level=1)).to_have_text("Microsoft did not sign you in")
    expect(window.get_by_text("The sign-in was cancelled.")).to_be_visible()
    opened.shows("Sign in to Microsoft once")
    window.get_by_role("link", name="Try again").click()
    window.locator(f"button[value='{CLINICIAN}']").click()
    expect(window.get_by_role("heading", level=1)).to_have_text("Is this your visit?")


def test_who_answers_no_is_connected_with_nothing(hospital: Hospital, chart: OpenChart) -> None:
    opened = chart(5).open(hospital.book())
    window = window_of(opened)
    window.locator(f"button[value='{CLINICIAN}']").click()
    matching = window.locator(".matching").inner_text()
    expect(opened.frame.locator(".matching")).to_have_text(matching)

    window.get_by_role("button", name="No", exact=True).click()

    expect(window.get_by_role("heading", level=1)).to_have_text("Nothing was connected")
    opened.document.evaluate("location.reload()")
    opened.shows("Sign in to Microsoft once")


def test_the_second_launch_asks_nothing(hospital: Hospital, chart: OpenChart) -> None:
    chart(6).open(hospital.book()).sign_in()

    again = chart(6).open(hospital.book())

    again.shows("Video visits")
    expect(again.into_teams().get_by_text("in the meeting, Ada Okafor.")).to_be_visible()
