"""A real browser with made-up camera and microphone, and the pages served over a service that a test sets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import uvicorn
from browser.pages_app import VisitDouble, pages_app
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from ehr_sandbox.chromium.finding import NoChromiumError, find_or_get

FLAGS = [
    "--use-fake-device-for-media-stream",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--mute-audio",
]


class OpenContext(Protocol):
    """Makes a browser's window of its own: language, scheme, size; closed after the test."""

    def __call__(self, *, camera: bool = ..., **options: Any) -> BrowserContext: ...


@dataclass
class Served:
    """The pages at their address, with the service behind them."""

    url: str
    visits: VisitDouble
    app: FastAPI = field(repr=False)

    def hears(self, page: Page, *told: str) -> None:
        """Wait until the service was told all this and nothing else: a page tells it beside what it shows."""
        for _ in range(100):
            if sorted(self.visits.told) == sorted(told):
                return
            page.wait_for_timeout(50)
        raise AssertionError(f"told {self.visits.told}, not {told}")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    # Playwright's sync interface keeps a loop on its thread, so it gets one that no other test uses.
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Path:
    """The browser's program: one that is here, or Debian's, unpacked into the cache."""
    try:
        return find_or_get(playwrights=Path(playwright.chromium.executable_path))
    except NoChromiumError as exc:
        pytest.fail(str(exc), pytrace=False)


@pytest.fixture(scope="session")
def allowing(playwright: Playwright, chromium: Path) -> Iterator[Browser]:
    """A browser in which camera and microphone are allowed without a question."""
    browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, "--use-fake-ui-for-media-stream"])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def refusing(playwright: Playwright, chromium: Path) -> Iterator[Browser]:
    """A browser in which nobody allows them: without a window the question counts as refused."""
    browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def context(request: pytest.FixtureRequest) -> Iterator[OpenContext]:
    opened: list[BrowserContext] = []

    def open_context(*, camera: bool = True, **options: Any) -> BrowserContext:
        browser: Browser = request.getfixturevalue("allowing" if camera else "refusing")
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        opened.append(context)
        return context

    yield open_context
    for one in opened:
        one.close()


@pytest.fixture
def page(context: OpenContext) -> Page:
    return context(locale="en-US").new_page()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an app beside the browser for the time of the block, and give its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@pytest.fixture(scope="session")
def _site() -> Iterator[Served]:
    visits = VisitDouble()
    app = pages_app(visits)
    with serving(app) as url:
        yield Served(url, visits, app)


@pytest.fixture
def site(_site: Served) -> Served:
    _site.visits.reset()
    return _site
