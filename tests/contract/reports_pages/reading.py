"""What a reader of reports does: sign in, open pages, sign out; and a second organisation beside the first."""

from __future__ import annotations

import asyncio
import html
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from contract.visits.acting import HEADING
from contract.visits.test_clinician import CSRF, choose
from contract.visits.world import Browser, World

from ehr_sandbox.graph.world import EXAMPLE_AUDITOR, EXAMPLE_CLINICIAN, EXAMPLE_MANAGER

MANAGER, AUDITOR, NOBODY = EXAMPLE_MANAGER, EXAMPLE_AUDITOR, EXAMPLE_CLINICIAN
CALLBACK = "/reports/sign-in/callback"
BELOW = "/reports/organizations/lamna/lamna"
PAGES = {"consumption": "Visits", "call-quality": "Call quality", "messages": "Messages", "audit": "Audit"}
SESSION = "__Host-ehr-reports"
ENDED = "This sign-in has ended"
_SPREAD_S = 0.6
"""A configuration is known everywhere after half a second."""
NAVIGATION = re.compile(r'<a href="/reports/organizations/[^"]+"(?: aria-current="page")?>([^<]+)</a>')


def headings(page: httpx.Response) -> list[str]:
    """Return the headings of first rank: what page it is."""
    return [html.unescape(one) for one in HEADING.findall(page.text)]


def is_at_microsoft(world: World, page: httpx.Response) -> bool:
    """Return whether the sign-in of the tenant is shown."""
    return page.status_code == 200 and str(page.url).startswith(world.graph)


async def signed_in(world: World, user: str, page: str = "consumption", browser: Browser | None = None) -> Any:
    """Sign in by opening a page, and return the browser and what it shows in the end."""
    window = browser or world.browser()
    microsoft = await window.open(f"{world.connector}{BELOW}/{page}")
    assert is_at_microsoft(world, microsoft), microsoft.text
    return window, await choose(window, microsoft, user)


async def reader(world: World, user: str = MANAGER) -> Browser:
    """Return a browser that has signed in."""
    browser, page = await signed_in(world, user)
    assert headings(page) == ["Visits"], page.text
    return browser


async def opened(world: World, browser: Browser, page: str, below: str = BELOW) -> httpx.Response:
    """Open a page of the reports."""
    return await browser.open(f"{world.connector}{below}/{page}")


async def signed_out(
    world: World, browser: Browser, page: httpx.Response, *, site: str = "same-origin", csrf: str | None = None
) -> httpx.Response:
    """Press the page's button for it."""
    token = CSRF.findall(page.text)[0] if csrf is None else csrf
    return await browser.submit(f"{world.connector}/reports/sign-out", site=site, csrf=token)


async def configure_another(world: World, name: str, **changes: Any) -> None:
    """Configure one more organisation, without endpoints, and wait until every replica knows it."""
    document = deepcopy(world.document) | {"namespace": name, "name": name, "endpoints": []} | changes
    address = f"{world.connector}/control/v1/organizations/{name}/{name}/configuration"
    headers = {"Authorization": f"Bearer {world.issuer.token()}", "If-None-Match": "*"}
    answer = await world.http.put(address, json=document, headers=headers)
    assert answer.status_code == 204, answer.text
    await asyncio.sleep(_SPREAD_S)


async def remove_another(world: World, name: str) -> None:
    """Take it away."""
    address = f"{world.connector}/control/v1/organizations/{name}/{name}/configuration"
    bearer = {"Authorization": f"Bearer {world.issuer.token()}"}
    standing = await world.http.get(address, headers=bearer)
    answer = await world.http.delete(address, headers=bearer | {"If-Match": standing.headers["ETag"]})
    assert answer.status_code == 204, answer.text
    await asyncio.sleep(_SPREAD_S)


def around_today() -> str:
    """Return the days on which the visit of ten minutes from now is, wherever the clinic is."""
    today = datetime.now(UTC).date()
    return f"from={today - timedelta(days=2)}&to={today + timedelta(days=2)}"
