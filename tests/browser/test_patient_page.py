"""The page behind a join link, as a patient uses it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from browser.conftest import OpenContext, Served
from browser.pages_app import PHONE, START, look
from playwright.sync_api import Page, expect

from ehr_connector.visits.booking import Access
from ehr_connector.visits.links import Role

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0"


def test_one_button_leads_into_teams(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/v/t")

    page.get_by_role("button", name="Join the visit").click()

    expect(page).to_have_title("Lobby")
    site.hears(page, "join", "opened")


def test_the_visit_is_joined_without_script(context: OpenContext, site: Served) -> None:
    page = context(java_script_enabled=False, locale="en-US").new_page()
    page.goto(f"{site.url}/v/t")
    expect(page.get_by_text("Scripts are switched off in your browser")).to_be_visible()

    page.get_by_role("button", name="Join the visit").click()

    expect(page).to_have_title("Lobby")
    assert site.visits.told == ["join"]


def test_the_visit_is_joined_by_keyboard_alone(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/v/t")

    page.keyboard.press("Tab")

    expect(page.get_by_role("button", name="Join the visit")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Lobby")
    assert outline == "solid"


def test_everything_that_can_be_done_is_reached_by_keyboard(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/v/t")

    reached: list[str] = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(document.activeElement.textContent || '').trim()"))

    assert reached[:3] == ["Join the visit", PHONE, "Start the check"]
    assert {"العربية", "español"} <= set(reached)


def test_to_look_counts_nothing(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/v/t")
    page.evaluate("dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}))")
    page.evaluate("document.body.click()")
    page.reload()
    page.request.head(f"{site.url}/v/t")

    assert site.visits.told == []


def test_the_first_key_or_touch_counts_once(context: OpenContext, site: Served) -> None:
    page = context(has_touch=True, locale="en-US").new_page()
    page.goto(f"{site.url}/v/t")

    with page.expect_response("**/opened"):
        page.touchscreen.tap(10, 10)
    page.keyboard.press("Shift")
    page.mouse.click(5, 5)
    page.reload()

    assert site.visits.told == ["opened"]


def test_an_early_patient_sees_a_countdown_and_the_button_comes_by_itself(page: Page, site: Served) -> None:
    site.visits.shown = look(Access.EARLY, opens_at=datetime.now(UTC) + timedelta(seconds=2))
    page.goto(f"{site.url}/v/t")
    expect(page.locator("[data-countdown]")).to_contain_text("second")
    expect(page.get_by_role("button", name="Join the visit")).to_have_count(0)

    site.visits.shown = look(Access.OPEN)

    expect(page.get_by_role("button", name="Join the visit")).to_be_visible(timeout=10_000)
    expect(page.locator("[data-live]")).to_have_text("You can join now.")


def test_the_countdown_is_not_read_out_each_second(page: Page, site: Served) -> None:
    site.visits.shown = look(Access.EARLY, opens_at=datetime.now(UTC) + timedelta(seconds=50))
    page.goto(f"{site.url}/v/t")
    first = page.locator("[data-countdown]").inner_text()

    expect(page.locator("[data-countdown]")).not_to_have_text(first)

    expect(page.locator("[data-live]")).to_have_text("")


@pytest.mark.parametrize(
    ("access", "title"),
    [
        (Access.LATE, "The time to join has passed"),
        (Access.CANCELLED, "This visit was cancelled"),
        (Access.GONE, "This link is no longer valid"),
        (Access.INACTIVE, "Video visits have not started here yet"),
        (Access.UNAVAILABLE, "We cannot find your visit just now"),
    ],
    ids=lambda value: value.value if isinstance(value, Access) else "",
)
def test_a_visit_that_cannot_be_joined_says_so_and_whom_to_call(
    page: Page, site: Served, access: Access, title: str
) -> None:
    site.visits.shown = look(access)

    page.goto(f"{site.url}/v/t")

    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("link", name=PHONE)).to_have_attribute("href", "tel:+15550100199")
    expect(page.get_by_role("button", name="Join the visit")).to_have_count(0)
    expect(page.get_by_text("If this is an emergency, call 911.")).to_be_visible()


def test_a_moved_visit_says_so_beside_its_new_time(page: Page, site: Served) -> None:
    site.visits.shown = look(Access.EARLY, moved=True)

    page.goto(f"{site.url}/v/t")

    expect(page.get_by_text("This visit was moved.")).to_be_visible()
    expect(page.get_by_text("Central Standard Time")).to_be_visible()


MINUTES = 90_000
"""Milliseconds after which an open page has looked again, however its looks are spread."""


@pytest.fixture
def in_three_hours() -> datetime:
    return datetime.now(UTC) + timedelta(hours=3)


def test_an_open_page_learns_that_its_visit_was_moved_to_a_later_time(
    page: Page, site: Served, in_three_hours: datetime
) -> None:
    page.clock.install()
    page.goto(f"{site.url}/v/t")
    expect(page.get_by_role("button", name="Join the visit")).to_be_visible()

    later = START + timedelta(days=1)
    site.visits.shown = look(Access.EARLY, start=later, opens_at=in_three_hours, moved=True)
    page.clock.run_for(MINUTES)

    expect(page.get_by_text("This visit was moved.").first).to_be_visible()
    expect(page.locator(".day")).to_contain_text("Wednesday, November 25, 2026")
    expect(page.get_by_role("button", name="Join the visit")).to_have_count(0)
    expect(page.locator("[data-live]")).to_contain_text("This visit was moved.")
    assert site.visits.told == []


def test_an_early_page_learns_that_its_visit_was_moved_to_an_earlier_time(
    page: Page, site: Served, in_three_hours: datetime
) -> None:
    site.visits.shown = look(Access.EARLY, opens_at=in_three_hours)
    page.clock.install()
    page.goto(f"{site.url}/v/t")
    expect(page.locator("[data-countdown]")).to_contain_text("in 3 hours")

    site.visits.shown = look(
        Access.EARLY, start=START - timedelta(hours=2), opens_at=in_three_hours - timedelta(hours=1), moved=True
    )
    page.clock.run_for(MINUTES)

    expect(page.locator(".day")).to_contain_text("8:00")
    expect(page.locator("[data-countdown]")).to_contain_text(re.compile(r"in 1[12]\d minutes"))
    site.visits.shown = look(Access.OPEN, start=START - timedelta(hours=3), moved=True)
    page.clock.run_for(MINUTES)
    expect(page.get_by_role("button", name="Join the visit")).to_be_visible()


def test_an_early_page_learns_that_its_visit_was_cancelled(page: Page, site: Served, in_three_hours: datetime) -> None:
    site.visits.shown = look(Access.EARLY, opens_at=in_three_hours)
    page.clock.install()
    page.goto(f"{site.url}/v/t")
    page.get_by_role("button", name="Start the check").click()

    site.visits.shown = look(Access.CANCELLED)
    page.clock.run_for(MINUTES)

    expect(page.get_by_role("heading", level=1)).to_have_text("This visit was cancelled")
    expect(page.locator("[data-live]")).to_contain_text("This visit was cancelled")


def test_a_page_keeps_what_it_knows_while_the_clinics_calendar_does_not_answer(page: Page, site: Served) -> None:
    page.clock.install()
    page.goto(f"{site.url}/v/t")
    site.visits.shown = look(Access.UNAVAILABLE)

    with page.expect_response(f"{site.url}/v/t"):
        page.clock.run_for(MINUTES)

    expect(page.get_by_role("button", name="Join the visit")).to_be_visible()


def test_an_unchanged_page_is_left_as_it_is(page: Page, site: Served, in_three_hours: datetime) -> None:
    site.visits.shown = look(Access.EARLY, opens_at=in_three_hours)
    page.clock.install()
    page.goto(f"{site.url}/v/t")
    page.evaluate("document.getElementById('visit').standing = true")

    with page.expect_response(f"{site.url}/v/t"):
        page.clock.run_for(MINUTES)

    assert page.evaluate("document.getElementById('visit').standing")


def test_a_visit_that_ended_meanwhile_says_so_on_joining(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/v/t")
    site.visits.shown = look(Access.CANCELLED)

    page.get_by_role("button", name="Join the visit").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("This visit was cancelled")


def test_the_time_is_shown_on_the_readers_clock_too(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US", timezone_id="America/New_York").new_page()
    page.goto(f"{site.url}/v/t")

    expect(page.get_by_text("10:00", exact=False).first).to_be_visible()
    expect(page.locator("[data-local]")).to_contain_text("11:00")
    expect(page.locator("[data-local]")).to_contain_text("Eastern Standard Time")


def test_a_reader_in_the_clinics_zone_sees_one_time(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US", timezone_id="America/Chicago").new_page()
    page.goto(f"{site.url}/v/t")

    expect(page.locator("[data-local]")).to_be_hidden()


def test_another_browser_is_told_which_work_and_may_go_on(context: OpenContext, site: Served) -> None:
    page = context(user_agent=FIREFOX, locale="en-US").new_page()
    page.goto(f"{site.url}/v/t")
    expect(page.get_by_role("heading", level=1)).to_have_text("This browser may not work for your visit")
    for browser in ("Safari or Chrome", "Edge or Chrome"):
        expect(page.get_by_text(browser).first).to_be_visible()

    page.get_by_role("link", name="Continue anyway").click()

    expect(page.get_by_role("button", name="Join the visit")).to_be_visible()


def test_the_language_that_was_chosen_stays_on_the_next_page(context: OpenContext, site: Served) -> None:
    page = context(locale="es-MX").new_page()
    page.goto(f"{site.url}/v/t")
    expect(page.get_by_role("heading", level=1)).to_have_text("Su visita por video")

    page.get_by_role("link", name="العربية").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    site.visits.shown = look(Access.CANCELLED)
    page.locator("form[data-join] button").click()

    expect(page.locator("html")).to_have_attribute("lang", "ar")


def test_an_incomplete_link_gets_a_page_with_a_reference(page: Page, site: Served) -> None:
    answer = page.goto(f"{site.url}/v/unknown")

    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("This link is not complete")
    assert re.fullmatch("[0-9a-f]{32}", page.locator(".reference code").inner_text())


@pytest.mark.parametrize(
    ("role", "says"),
    [
        (Role.PROVIDER, "This page is for the clinician."),
        (Role.GUEST, "You are invited as a guest of the patient."),
        (Role.INTERPRETER, "You are invited as the interpreter."),
    ],
)
def test_the_page_names_the_readers_role(page: Page, site: Served, role: Role, says: str) -> None:
    site.visits.shown = look(role=role)

    page.goto(f"{site.url}/v/t")

    expect(page.get_by_text(says)).to_be_visible()


def test_a_form_of_another_site_cannot_join(page: Page, site: Served) -> None:
    page.goto(site.url.replace("127.0.0.1", "localhost") + "/teams")
    page.evaluate(
        "action => { document.body.innerHTML = `<form method=post action=${action}><button>Go</button></form>` }",
        f"{site.url}/v/t/join",
    )

    page.get_by_role("button", name="Go").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Open your visit from your link")
    assert site.visits.told == []


def test_the_page_breaks_none_of_its_own_rules(page: Page, site: Served) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    for path in ("/v/t", "/device-test", "/board", "/microsoft", "/confirm", "/signed-in"):
        page.goto(f"{site.url}{path}")

    assert said == []


def test_pages_keep_nothing_in_the_browser(page: Page, site: Served) -> None:
    for path in ("/v/t", "/board"):
        page.goto(f"{site.url}{path}")
        page.keyboard.press("Tab")

        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
