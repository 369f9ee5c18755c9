"""Takes the pictures of the visit's pages that the documents show: `PYTHONPATH=tests .venv/bin/python -m browser.visit_pictures DIR`.

The played visit (`make demo ARGS="--once --pictures DIR"`) takes those of its way; here are the pages beside the way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from browser.conftest import FLAGS, serving
from browser.pages_app import START, VisitDouble, look, pages_app
from playwright.sync_api import Page, sync_playwright

from ehr_connector.visits.booking import Access
from ehr_connector.visits.look import Look
from ehr_sandbox.chromium.finding import find_or_get

_FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0"
_PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "locale": "en-US",
    "timezone_id": "America/Chicago",
}
_DESK: dict[str, Any] = {"viewport": {"width": 1024, "height": 768}, "locale": "en-US"}


def _early(*, moved: bool = False) -> Look:
    opens_at = datetime.now(UTC) + timedelta(minutes=19, seconds=30)
    return look(Access.EARLY, opens_at=opens_at, start=opens_at + timedelta(minutes=30), moved=moved)


def _check(page: Page) -> None:
    page.get_by_role("button", name="Start the check").click()
    page.get_by_label("Picture of your camera").wait_for()


def _as_it_is(_page: Page) -> None:
    return None


@dataclass(frozen=True)
class _Picture:
    path: str = "/v/t"
    look: Look = field(default_factory=look)
    options: dict[str, Any] = field(default_factory=lambda: _PHONE)
    act: Callable[[Page], None] = _as_it_is
    now: datetime | None = None


_PICTURES = {
    "patient-countdown": _Picture(look=_early()),
    "patient-moved": _Picture(look=_early(moved=True)),
    "patient-cancelled": _Picture(look=look(Access.CANCELLED)),
    "patient-device-test": _Picture(act=_check),
    "patient-unsupported-browser": _Picture(options=_PHONE | {"user_agent": _FIREFOX}),
    "patient-arabic": _Picture(options=_PHONE | {"locale": "ar-EG"}),
    "patient-chinese": _Picture(options=_PHONE | {"locale": "zh-CN"}),
    "patient-dark": _Picture(look=_early(), options=_PHONE | {"color_scheme": "dark"}),
    "patient-link-incomplete": _Picture(path="/v/unknown"),
    "clinician-guest-links": _Picture(path="/board", options=_DESK, now=START - timedelta(seconds=30)),
    "clinician-dark": _Picture(
        path="/board", options=_DESK | {"color_scheme": "dark"}, now=START - timedelta(seconds=30)
    ),
}


def main(folder: Path) -> None:
    """Take them all."""
    folder.mkdir(parents=True, exist_ok=True)
    visits = VisitDouble()
    with serving(pages_app(visits)) as url, sync_playwright() as running:
        executable = find_or_get(playwrights=Path(running.chromium.executable_path))
        browser = running.chromium.launch(executable_path=executable, args=[*FLAGS, "--use-fake-ui-for-media-stream"])
        for name, one in _PICTURES.items():
            visits.reset()
            visits.shown = one.look
            page = browser.new_context(**one.options).new_page()
            if one.now is not None:
                page.clock.set_fixed_time(one.now)
            page.route("**/stream", lambda _route: None)  # it stays open, as a connector's does
            page.goto(url + one.path)
            one.act(page)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
