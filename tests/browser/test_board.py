"""The clinician's board: live status, the alert while a patient waits, copying."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from browser.conftest import OpenContext, Served
from browser.pages_app import START, ZONE, board_view
from playwright.sync_api import Page, expect

from ehr_connector.visits.events import Stage, Status
from ehr_connector.web.locales import Locales
from ehr_connector.web.views import StatusView, VisitView


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


def test_a_board_whose_visits_changed_is_exchanged_and_what_was_opened_stays_open(page: Page, site: Served) -> None:
    site.app.state.board = {"organization_name": "Lamna"}
    try:
        page.goto(f"{site.url}/board?notice=sent")
        page.locator("#visit-two summary").click()
        expect(page.locator("#visit-two details")).to_have_attribute("open", "")
        page.evaluate("document.querySelector('[data-stream]').standing = true")
        site.app.state.board = {"upcoming": [replace(_upcoming(), open=True)], "notice": None}
        site.app.state.once = [{"event": "reload", "data": "{}"}]

        expect(page.locator("#visit-two").get_by_text("Open now")).to_be_visible(timeout=20_000)

        assert page.evaluate("document.querySelector('[data-stream]').standing") is None
        expect(page.locator("#visit-two details")).to_have_attribute("open", "")
        expect(page.locator("#visit-two summary")).to_be_focused()
        expect(page.get_by_text("Link sent by text message.").first).to_be_visible()
        expect(page.locator("#visit-two").get_by_role("button", name="Copy Patient's link")).to_be_visible()
    finally:
        site.app.state.board = {}


def _upcoming() -> VisitView:
    return board_view(Locales().choose("en", None)).upcoming[0]


def test_what_came_of_a_button_is_not_told_again_when_the_page_is_loaded_anew(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/board?notice=send-sent&lang=es")

    expect(page).to_have_url(f"{site.url}/board?lang=es")


def test_each_button_leads_on_in_the_language_that_was_chosen(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/board?lang=es")

    actions = page.locator("form").evaluate_all("forms => forms.map((form) => form.getAttribute('action'))")

    assert actions
    assert all(action.endswith("?lang=es") for action in actions)


def test_the_minutes_of_a_waiting_patient_are_counted(page: Page, site: Served) -> None:
    page.clock.install(time=START - timedelta(seconds=30))
    page.goto(f"{site.url}/board")
    waited = page.locator("#visit-one [data-waited]")
    expect(waited).to_have_text("waiting for 3 min")
    expect(page.locator("#visit-two [data-waited]")).to_be_hidden()

    page.clock.run_for(61_000)

    expect(waited).to_have_text("waiting for 4 min")


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
