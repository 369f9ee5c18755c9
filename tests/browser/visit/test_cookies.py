"""The frame's cookie: partitioned, enough where third-party cookies are blocked, and not needed in a window of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.conftest import FLAGS
from browser.visit.conftest import OpenChart
from browser.visit.hospital import Chart, Hospital
from playwright.sync_api import BrowserContext, Playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ehr_sandbox.cerner.people import PRACTITIONER_IDS

_BLOCKED = {"profile": {"cookie_controls_mode": 1, "block_third_party_cookies": True}}
"""Preferences of a browser in which third-party cookies are blocked."""


@pytest.fixture
def strict(playwright: Playwright, chromium: Path, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser that blocks third-party cookies, as PowerChart's is set up."""
    preferences = tmp_path / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps(_BLOCKED))
    context = playwright.chromium.launch_persistent_context(
        tmp_path, executable_path=chromium, args=FLAGS, ignore_https_errors=True, locale="en-US"
    )
    yield context
    context.close()


async def _set(_request: Request) -> Response:
    answer = RedirectResponse("/seen", 303)
    answer.headers.append("Set-Cookie", "plain=1; Path=/; Secure; SameSite=None")
    answer.headers.append("Set-Cookie", "partitioned=1; Path=/; Secure; SameSite=None; Partitioned")
    return answer


async def _seen(request: Request) -> Response:
    return HTMLResponse(f"<p>{' '.join(sorted(request.cookies))}</p>")


async def _outside(request: Request) -> Response:
    inside = str(request.url_for("set")).replace("127.0.0.1", "localhost")
    return HTMLResponse(f'<iframe name="mpage" src="{inside}"></iframe>')


def cookies_of_a_frame(context: BrowserContext, hospital: Hospital) -> str:
    """Return which cookies a third party's page gets back, in a frame of another site."""
    routes = [Route("/set", _set, name="set"), Route("/seen", _seen), Route("/outside", _outside)]
    address = hospital.serve(Starlette(routes=routes))
    page = context.new_page()
    page.goto(address.replace("localhost", "127.0.0.1") + "/outside")
    shown = page.frame_locator("iframe").locator("p")
    expect(shown).to_contain_text("partitioned")
    return shown.inner_text()


def test_the_frame_works_where_third_party_cookies_are_blocked(strict: BrowserContext, hospital: Hospital) -> None:
    assert cookies_of_a_frame(strict, hospital) == "partitioned"
    visit = hospital.book()

    chart = Chart(hospital, strict.new_page(), PRACTITIONER_IDS[4]).open(visit)
    chart.sign_in()
    chart.document.evaluate("location.reload()")
    chart.shows("Video visits")
    teams = chart.into_teams()

    expect(teams.get_by_text("in the meeting, Ada Okafor.")).to_be_visible()


def test_the_frames_cookie_is_partitioned_by_the_ehr(
    desk: BrowserContext, chart: OpenChart, hospital: Hospital
) -> None:
    chart(5).open(hospital.book()).shows("Sign in to Microsoft once")

    (cookie,) = desk.cookies(hospital.world.connector)

    assert (cookie.get("name"), cookie.get("sameSite")) == ("__Host-ehr-browser", "None")
    assert "127.0.0.1" in str(cookie.get("partitionKey"))


@pytest.mark.parametrize(("button", "action"), [("Join", "/join"), ("Consult a colleague", "/consult")])
def test_a_meetings_window_opens_without_the_frames_cookie(
    desk: BrowserContext, chart: OpenChart, hospital: Hospital, button: str, action: str
) -> None:
    opened = chart().open(hospital.book())
    opened.signed_in()
    sent: list[dict[str, str]] = []
    desk.on(
        "response", lambda answer: sent.append(answer.request.all_headers()) if answer.url.endswith(action) else None
    )

    window = opened.press(button)
    expect(window.get_by_role("heading", name="Microsoft Teams meeting")).to_be_visible()

    (headers,) = sent
    assert "cookie" not in headers
    assert window.evaluate("window.opener") is None
