"""What no browser sends is refused, and is no failure of ours: nobody fills the log, or writes headers of our answers."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, Request
from unit.connector.visiting import START

from ehr_connector.directory import Site
from ehr_connector.visits.links import LinkError
from ehr_connector.visits.patient_routes import PatientPages
from ehr_connector.web import cookies
from ehr_connector.web.assets import Assets
from ehr_connector.web.locales import Locales
from ehr_connector.web.pages import Pages

LINK = "https://visits.example/v/link"


class NoVisits:
    """No link is one of ours."""

    async def look(self, token: str) -> None:
        """Know none."""
        raise LinkError

    opened = join = look

    async def device_test(self, token: str, result: object) -> None:
        """Know none."""
        raise LinkError

    async def site(self, record: str) -> Site | None:
        """Know none."""

    async def seen(self, site: Site) -> None:
        """See none."""


@pytest.fixture
def http() -> httpx.AsyncClient:
    app, nobody = FastAPI(), NoVisits()
    pages = Pages(Locales(), Assets())
    app.include_router(PatientPages(pages, nobody, nobody, lambda: START, teams_origins=()).router())  # pyright: ignore[reportArgumentType]  (nothing is looked at)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app))


async def test_a_body_that_is_nested_without_end_is_no_result_of_a_device_test(http: httpx.AsyncClient) -> None:
    assert (await http.post(f"{LINK}/device-test", content="[" * 1024)).status_code == 400


@pytest.mark.parametrize("action", ["join", "opened", "device-test"])
async def test_an_origin_that_is_no_address_is_not_ours(http: httpx.AsyncClient, action: str) -> None:
    assert (await http.post(f"{LINK}/{action}", headers={"Origin": "http://["})).status_code == 403


def _browser(cookie: str) -> str | None:
    headers = [(b"cookie", f"{cookies.BROWSER}={cookie}".encode())]
    return cookies.browser_of(Request({"type": "http", "headers": headers}))


@pytest.mark.parametrize(
    "cookie", [r'"a\015\012Set-Cookie: x"', r'"a\073 Domain=example"', "a b", "\u00e9", "", "x" * 65]
)
def test_a_cookie_that_we_did_not_give_is_none(cookie: str) -> None:
    """It is given back as it was, and would write what it likes into the answer's headers."""
    assert _browser(cookie) is None


def test_the_cookie_that_a_browser_was_given_is_known_again() -> None:
    given = cookies.new_browser()
    assert _browser(given) == given
