"""The reports in a real browser: for everybody's eyes, hands and ears, without a script, in each language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser.conftest import OpenContext, serving
from browser.reports_app import BELOW, PAGES, reports_app
from browser.test_accessibility import LOOKS, overflow, problems
from fastapi import FastAPI
from playwright.sync_api import Page, expect

_OTHERS = ["/reports/", "/reports/signed-out"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return reports_app(tmp_path_factory.mktemp("reports") / "keys")


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    with serving(app) as url:
        yield url


@pytest.fixture(autouse=True)
def undisturbed(app: FastAPI) -> None:
    app.state.numbers.empty = False
    app.state.readers.signed_in = True


@pytest.fixture(params=LOOKS, ids=["English", "Spanish 320 px", "Chinese dark", "Arabic dark 320 px"])
def seen(request: pytest.FixtureRequest, context: OpenContext) -> Page:
    # Out of the sandboxed frame that a policy without inline script makes of axe: it is injected by the test alone.
    return context(bypass_csp=True, **request.param).new_page()


@pytest.mark.parametrize("path", [*(f"{BELOW}/{page}" for page in PAGES), *_OTHERS])
def test_each_page_is_accessible_with_its_tables_open(seen: Page, address: str, path: str) -> None:
    seen.goto(f"{address}{path}")
    seen.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")

    assert problems(seen) == []
    assert overflow(seen) <= 0


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_page_is_accessible_and_says_what_to_do(
    page: str, app: FastAPI, address: str, context: OpenContext
) -> None:
    app.state.numbers.empty = True
    empty = context(bypass_csp=True, locale="en-US").new_page()

    empty.goto(f"{address}{BELOW}/{page}")

    expect(empty.get_by_role("link", name="Show the last 30 days of everything")).to_be_visible()
    assert problems(empty) == []


def test_nothing_is_refused_by_our_own_policy(page: Page, address: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    for name in PAGES:
        page.goto(f"{address}{BELOW}/{name}")

    assert complaints == []


def test_without_a_script_filters_and_tables_work(context: OpenContext, app: FastAPI, address: str) -> None:
    page = context(locale="en-US", java_script_enabled=False).new_page()
    page.goto(f"{address}{BELOW}/consumption")

    page.locator("select[name=department]").select_option("clinic-2")
    page.locator("input[name=from]").fill("2026-11-01")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Numbers as a table Visits over time").click()

    assert "department=clinic-2" in page.url
    assert app.state.numbers.asked[-1].departments == ("clinic-2",)
    assert app.state.numbers.asked[-1].start.isoformat() == "2026-11-01T00:00:00-05:00"
    expect(page.locator("#by-day table")).to_be_visible()
    expect(page.locator("select[name=department]")).to_have_value("clinic-2")


def test_production_is_shown_until_somebody_asks_for_more(page: Page, app: FastAPI, address: str) -> None:
    page.goto(f"{address}{BELOW}/consumption")
    environment = page.locator("select[name=environment]")
    expect(environment).to_have_value("Production")
    assert app.state.numbers.asked[-1].environments == ("Production",)

    environment.select_option("")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Messages").click()

    expect(environment).to_have_value("")
    assert app.state.numbers.asked[-1].environments == ()


def test_what_is_chosen_goes_along_to_the_other_pages(page: Page, address: str) -> None:
    page.goto(f"{address}{BELOW}/consumption?from=2026-11-01&to=2026-11-07&department=clinic-2")

    page.get_by_role("link", name="Messages").click()

    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    expect(page.locator("select[name=department]")).to_have_value("clinic-2")
    expect(page.locator("input[name=to]")).to_have_value("2026-11-07")


def test_a_keyboard_reaches_the_filters_a_table_and_the_downloads_in_order(page: Page, address: str) -> None:
    page.goto(f"{address}{BELOW}/consumption")
    met: list[str] = []

    for _ in range(60):
        page.keyboard.press("Tab")
        met.append(page.evaluate("document.activeElement.innerText || document.activeElement.name || ''").strip())
        if met[-1] == "JSON":
            break

    order = ["Skip to the report", "Sign out", "Visits", "from", "Show", "CSV", "JSON"]
    assert [met.index(one) for one in order] == sorted(met.index(one) for one in order)
    assert any(one.startswith("Numbers as a table") for one in met)


def test_each_picture_has_a_name_and_a_table_with_its_numbers(page: Page, address: str) -> None:
    page.goto(f"{address}{BELOW}/consumption")

    pictures = page.get_by_role("img", name="The table below has its numbers.")

    assert pictures.count() == page.locator("details table").count() == 6


def test_a_picture_tells_its_numbers_to_who_points_at_it(page: Page, address: str) -> None:
    page.goto(f"{address}{BELOW}/consumption")

    told = page.locator("#by-department .bar title").first.text_content() or ""

    assert told.startswith("Clinic 5: Completed: ")


def test_text_at_200_percent_still_fits(context: OpenContext, address: str) -> None:
    page = context(locale="en-US", viewport={"width": 640, "height": 800}, bypass_csp=True).new_page()
    page.goto(f"{address}{BELOW}/consumption")

    page.add_style_tag(content="html { font-size: 200% }")

    assert overflow(page) <= 0
    page.get_by_text("Choose what is shown").click()
    expect(page.get_by_role("button", name="Show")).to_be_visible()


def test_on_a_phone_figures_come_before_the_form_which_opens_without_a_script(
    context: OpenContext, address: str
) -> None:
    page = context(locale="en-US", viewport={"width": 390, "height": 844}, java_script_enabled=False).new_page()
    page.goto(f"{address}{BELOW}/consumption")

    expect(page.get_by_role("button", name="Show")).not_to_be_visible()
    expect(page.get_by_text("No-show rate")).to_be_in_viewport()
    page.get_by_text("Choose what is shown").click()

    expect(page.get_by_role("button", name="Show")).to_be_visible()


def test_a_wide_window_shows_the_form_at_once(page: Page, address: str) -> None:
    page.goto(f"{address}{BELOW}/consumption")

    expect(page.get_by_text("Choose what is shown")).not_to_be_visible()
    expect(page.locator("select[name=department]")).to_be_visible()


@pytest.mark.parametrize(("page_name", "block"), [("consumption", "by-status"), ("messages", "by-status")])
def test_each_bar_that_lies_has_its_number_beside_it(page: Page, address: str, page_name: str, block: str) -> None:
    page.goto(f"{address}{BELOW}/{page_name}")

    written = page.locator(f"#{block} text.value").all_text_contents()
    cells = page.locator(f"#{block} tbody td").all_text_contents()

    assert [one.strip() for one in written] == [one.strip() for one in cells][: len(written)]
    assert len(written) > 5


def test_targets_are_large_enough_for_a_finger(context: OpenContext, address: str) -> None:
    page = context(locale="en-US", viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{address}{BELOW}/consumption")

    boxes = [
        (target.inner_text(), target.bounding_box())
        for target in page.locator("button:visible, a:visible:not(.skip), summary:visible, select:visible").all()
    ]

    assert [text for text, box in boxes if box is not None and (box["height"] < 24 or box["width"] < 24)] == []
