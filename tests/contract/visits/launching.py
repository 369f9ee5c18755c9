"""What tests of launches share: a hospital with one patient who has one visit, and how a launch ends."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from contract.visits.world import Browser, World

from ehr_clients.http import ask

CORRELATION = re.compile(r"<code[^>]*>([0-9a-f]{32})</code>")
HEADING = re.compile(r"<h1>([^<]+)</h1>")
YOU, EHR_ADMIN, PLATFORM = (
    "For you.",
    "For the EHR administrator of your organization.",
    "For the platform team of your organization.",
)


@dataclass
class Hospital:
    """A world with one patient who has one visit."""

    world: World
    patient: str
    visit: dict[str, Any]

    async def code(self, **changes: Any) -> str:
        """Make a launch in the EHR."""
        return await self.world.launch(self.patient, self.visit["encounter"], **changes)

    async def begun(self, browser: Browser, **changes: Any) -> str:
        """Launch as far as the EHR's authorization endpoint, and return the address of our callback."""
        params = {"iss": self.world.base_url(), "launch": await self.code(**changes)}
        answer = await browser.http.get(f"{self.world.connector}/launch/provider", params=params)
        assert answer.status_code == 303, answer.text
        back = await browser.http.get(answer.headers["Location"])
        assert back.headers["Location"].startswith(f"{self.world.connector}/launch/callback?")
        return back.headers["Location"]


async def ends(
    world: World,
    page: httpx.Response,
    status: int,
    title: str,
    audience: str,
    *said: str,
) -> None:
    """Assert that a launch ended with this page, and that nothing was begun."""
    text = html.unescape(page.text)
    assert (page.status_code, HEADING.findall(text)) == (status, [title])
    assert audience in text
    assert "What to do" in text
    assert CORRELATION.search(text)
    for one in said:
        assert one in text
    # Also where nobody knows whose launch it was: a page in no frame would show as a refusal to connect.
    assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {world.cerner}")
    assert page.headers["Cache-Control"] == "no-store"
    assert "/clinician/" not in str(page.url) + page.text
    assert await world.meetings() == []


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connector wait half a second for an answer, in place of twenty."""
    monkeypatch.setattr(ask, "__kwdefaults__", {**(ask.__kwdefaults__ or {}), "timeout_s": 0.5})
