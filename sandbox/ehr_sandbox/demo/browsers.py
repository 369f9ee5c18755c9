"""Two windows of a real browser: the clinician's PowerChart-like page and the patient's phone, and pictures of both."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import BrowserContext, Page, ViewportSize, async_playwright, expect

from ehr_sandbox.chromium.finding import NoChromiumError, find_or_get
from ehr_sandbox.demo.report import StepFailedError

_FLAGS = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--mute-audio", "--no-sandbox"]
"""Made-up camera and microphone. Without a sandbox, since it opens nothing but this machine's own pages."""
_DESK: ViewportSize = {"width": 1280, "height": 900}
_PHONE: ViewportSize = {"width": 412, "height": 840}
_PHONES_BROWSER = "Mozilla/5.0 (Linux; Android 14; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version} Mobile Safari/537.36"
_ZONE = "America/Chicago"
"""That of the clinic."""
_DRAWN = "() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
"""A function: text that is evaluated again later, as in `wait_for_function`, is refused by a page's Content-Security-Policy."""
_WAIT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Windows:
    """The two windows, each with cookies of its own."""

    desk: BrowserContext
    phone: BrowserContext
    pictures: Path | None

    async def picture(self, page: Page, name: str) -> None:
        """Save what a page shows, when pictures are wanted."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            # Of a page that is just being drawn, a phone's picture is that of another scale.
            await page.wait_for_load_state()
            await page.evaluate(_DRAWN)
            await page.screenshot(path=self.pictures / f"{name}.png")


@asynccontextmanager
async def windows(pictures: Path | None) -> AsyncGenerator[Windows]:
    """Open the windows for the time of the block.

    Raises:
        StepFailedError: There is no browser; the message says what to do.
    """
    async with async_playwright() as playwright:
        try:
            executable = find_or_get(os.environ, playwrights=Path(playwright.chromium.executable_path))
        except NoChromiumError as exc:
            raise StepFailedError(str(exc)) from exc
        browser = await playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        try:
            # The authority of this run is nobody's but the demo's own; the browser is told to take its certificates.
            desk = await browser.new_context(
                ignore_https_errors=True, viewport=_DESK, locale="en-US", timezone_id=_ZONE
            )
            phone = await browser.new_context(
                ignore_https_errors=True,
                viewport=_PHONE,
                user_agent=_PHONES_BROWSER.format(version=browser.version),
                device_scale_factor=1.5,
                is_mobile=True,
                has_touch=True,
                locale="en-US",
                timezone_id=_ZONE,
            )
            expect.set_options(timeout=_WAIT_MS)
            for context in (desk, phone):
                context.set_default_timeout(_WAIT_MS)
            yield Windows(desk, phone, pictures)
        finally:
            await browser.close()
