"""The clinician's board: live status, the alert while a patient waits, copying."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from browser.conftest import OpenContext, Served
from browser.pages_app import ZONE
from playwright.sync_api import Page, expect

from ehr_connector.visits.events import Stage, Status
from ehr_connector.web.locales import Locales
from ehr_connector.web.views import StatusView


def pushed(visit: str, status: Status) -> str:
    english = Locales().choose("en", None)
    return json.dumps({"visit": visit, **StatusView.of(status, english, ZONE).to_json()})


def test_the_status_changes_without_a_reload(page: Page, site: Served) -> None:
    site.app.state.pushed = [
        pushed("two", Status(stage=Stage.OPENED, since=datetime(2026, 11, 30, 15, 55, tzinfo=UTC)))
    ]
    try:
        page.goto(f"{site.url}/board")

        expect(page.locator("#visit-two .stage")).to_contain_text("Patient opened the page")
        expect(page.locator("#visit-two .since")).to_contain_text("9:55")
    finally:
        site.app.state.pushed = []


def test_a_lost_stream_is_said_and_comes_back(page: Page, site: Served) -> None:
    page.route("**/stream", lambda route: route.abort())
    page.goto(f"{site.url}/board")
    expect(page.get_by_text("The connection was lost.")).to_be_visible()

    site.app.state.pushed = [pushed("two", Status(stage=Stage.JOINING))]
    try:
        page.unroute("**/stream")

        expect(page.locator("#visit-two .stage")).to_contain_text("Patient is joining")
    finally:
        site.app.state.pushed = []


def test_a_waiting_patient_is_announced_until_handled_and_again_when_it_lasts(page: Page, site: Served) -> None:
    page.clock.install()
    page.goto(f"{site.url}/board")
    alert = page.locator("[data-waiting]")
    expect(alert).to_be_visible()

    page.get_by_role("button", name="I have seen it").click()
    expect(alert).to_be_hidden()
    page.clock.run_for(31_000)

    expect(alert).to_be_visible()


def test_who_joins_has_handled_the_alert(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/board")

    page.get_by_role("button", name="Join").first.click()

    expect(page.locator("[data-waiting]")).to_be_hidden()


def test_the_link_is_copied_and_that_is_told(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US", permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto(f"{site.url}/board")

    with page.expect_request("**/board/visits/one/copied") as told:
        page.locator("#visit-one").get_by_role("button", name="Copy Patient's link").click()

    assert told.value.post_data == "csrf=c"
    assert page.evaluate("navigator.clipboard.readText()") == f"https://visits.lamna.example/v/{'a' * 50}"


def test_each_button_carries_the_token_of_the_page(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/board")

    without = page.locator("form:not(:has(input[name=csrf][value=c]))").count()

    assert page.locator("form").count() > 5
    assert without == 0
