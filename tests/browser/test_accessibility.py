"""Every page against axe (WCAG 2.2 AA), in each language, dark, and at 320 px."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.conftest import OpenContext, Served
from browser.pages_app import look
from playwright.sync_api import Page, expect

from ehr_connector.visits.booking import Access

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS: list[dict[str, Any]] = [
    {"locale": "en-US", "viewport": {"width": 1280, "height": 800}},
    {"locale": "es-MX", "viewport": {"width": 320, "height": 640}},
    {"locale": "zh-CN", "color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
    {"locale": "ar-EG", "color_scheme": "dark", "viewport": {"width": 320, "height": 640}, "reduced_motion": "reduce"},
]
_PAGES = ["/device-test", "/board", "/microsoft", "/confirm", "/signed-in", "/v/unknown"]


def problems(page: Page) -> list[str]:
    found: dict[str, Any] = Axe().run(page, options=_RULES).response
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


def overflow(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture(params=LOOKS, ids=["English", "Spanish 320 px", "Chinese dark", "Arabic dark 320 px"])
def seen(request: pytest.FixtureRequest, context: OpenContext) -> Page:
    # Out of the sandboxed frame that a policy without inline script makes of axe: it is injected by the test alone.
    return context(bypass_csp=True, **request.param).new_page()


@pytest.mark.parametrize("access", list(Access))
def test_each_state_of_the_visit_is_accessible(seen: Page, site: Served, access: Access) -> None:
    site.visits.shown = look(access, moved=True)

    seen.goto(f"{site.url}/v/t")

    assert problems(seen) == []
    assert overflow(seen) <= 0


@pytest.mark.parametrize("path", _PAGES)
def test_each_page_is_accessible(seen: Page, site: Served, path: str) -> None:
    seen.goto(f"{site.url}{path}")

    assert problems(seen) == []
    assert overflow(seen) <= 0


def test_the_page_for_other_browsers_is_accessible(context: OpenContext, site: Served) -> None:
    page = context(bypass_csp=True, user_agent="Mozilla/5.0 Gecko Firefox/146.0", locale="en-US").new_page()

    page.goto(f"{site.url}/v/t")

    assert problems(page) == []


def test_a_finished_device_test_is_accessible(seen: Page, site: Served) -> None:
    seen.goto(f"{site.url}/device-test")

    seen.locator("[data-start]").click()
    seen.wait_for_selector("[data-result]", timeout=15_000)

    assert problems(seen) == []
    assert overflow(seen) <= 0


def test_text_at_200_percent_still_fits(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US", viewport={"width": 640, "height": 800}, bypass_csp=True).new_page()
    page.goto(f"{site.url}/v/t")

    page.add_style_tag(content="html { font-size: 200% }")

    assert overflow(page) <= 0
    expect(page.get_by_role("button", name="Join the visit")).to_be_visible()


def test_nothing_moves_for_those_who_ask_for_it(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US", reduced_motion="reduce").new_page()
    page.goto(f"{site.url}/board")

    moving = page.evaluate("document.getAnimations().length")

    assert moving == 0


def test_targets_are_large_enough_for_a_finger(context: OpenContext, site: Served) -> None:
    page = context(locale="en-US", viewport={"width": 390, "height": 844}).new_page()
    small: list[str] = []

    for path in ("/v/t", "/board"):
        page.goto(f"{site.url}{path}")
        for target in page.locator("button:visible, a:visible, summary:visible").all():
            box = target.bounding_box()
            if box is not None and (box["height"] < 24 or box["width"] < 24):
                small.append(target.inner_text())

    assert small == []
