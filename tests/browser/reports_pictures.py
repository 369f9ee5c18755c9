"""Takes the pictures of the reports that the documents show: `PYTHONPATH=tests .venv/bin/python -m browser.reports_pictures DIR`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from browser.conftest import FLAGS, serving
from browser.reports_app import BELOW, reports_app
from playwright.sync_api import sync_playwright

from ehr_sandbox.chromium.finding import find_or_get

_DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US"}
_PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "visits": ("consumption", _DESK),
    "call-quality": ("call-quality", _DESK),
    "messages": ("messages", _DESK),
    "audit": ("audit", _DESK),
    "visits-dark-arabic": ("consumption", _DESK | {"locale": "ar-EG", "color_scheme": "dark"}),
    "visits-phone": ("consumption", {"viewport": {"width": 390, "height": 844}, "locale": "en-US"}),
}


def main(folder: Path) -> None:
    """Take them all; the same numbers give the same pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as keys, serving(reports_app(Path(keys) / "keys")) as url, sync_playwright() as running:
        executable = find_or_get(playwrights=Path(running.chromium.executable_path))
        browser = running.chromium.launch(executable_path=executable, args=FLAGS)
        for name, (path, options) in _PICTURES.items():
            page = browser.new_context(**options).new_page()
            page.goto(f"{url}{BELOW}/{path}")
            page.screenshot(path=folder / f"{name}.png", full_page=name != "visits-phone")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
