"""The report after the visit: a manager signs in with an app role, and finds it among the completed ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from playwright.async_api import Page, expect

from ehr_sandbox.demo.browsers import Windows
from ehr_sandbox.demo.layout import NAMESPACE, ORGANIZATION
from ehr_sandbox.demo.report import StepFailedError
from ehr_sandbox.demo.system import System
from ehr_sandbox.graph.world import EXAMPLE_MANAGER

_WAIT_S = 60.0


async def read_reports(system: System, opened: Windows) -> str:
    """Sign in to the reports, and wait until the Test endpoint has a completed visit; return what the page tells.

    Raises:
        StepFailedError: It has none in time.
    """
    page = await opened.desk.new_page()
    await page.goto(f"{system.layout.connector_url}/reports/")
    await page.locator(f"button[value='{EXAMPLE_MANAGER}']").click()
    await expect(page.get_by_role("heading", name="Visits", level=1)).to_be_visible()
    # Which day it is at the clinic is not which day it is here.
    today = datetime.now(UTC).date()
    days = f"from={today - timedelta(days=1)}&to={today + timedelta(days=1)}"
    address = f"{system.layout.connector_url}/reports/organizations/{NAMESPACE}/{ORGANIZATION}/consumption"
    try:
        async with asyncio.timeout(_WAIT_S):
            while True:
                await page.goto(f"{address}?{days}&environment=Test")
                if (completed := await _completed(page)) > 0:
                    break
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise StepFailedError(f"the report had no completed visit within {_WAIT_S:g} s") from None
    await opened.picture(page, "10-report")
    return f"{completed} completed; a manager signed in with the app role Reports.Viewer"


async def _completed(page: Page) -> int:
    row = page.locator("#by-status tbody tr").filter(has_text="Completed").locator("td")
    return int(await row.text_content() or "0") if await row.count() else 0
