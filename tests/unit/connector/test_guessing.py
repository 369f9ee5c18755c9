"""Who tries links that are none is slowed down; who uses good ones never is."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ehr_connector.web.assets import Assets
from ehr_connector.web.guessing import OF_PATIENTS, OF_STAFF, GuessingLimit, network_of
from ehr_connector.web.locales import Locales
from ehr_connector.web.pages import Pages, limit_pages


async def _answer(request: Request) -> Response:
    return PlainTextResponse("", int(request.path_params["status"]))


def phone(address: str = "192.0.2.7") -> httpx.AsyncClient:
    page = limit_pages(Pages(Locales(), Assets()), ["/v/"])
    limits = {"/v/": OF_PATIENTS, "/launch/": OF_STAFF}
    app = GuessingLimit(Starlette(routes=[Route("/{kind}/{status}", _answer)]), limits, page)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="https://visits.example")


async def statuses(http: httpx.AsyncClient, path: str, times: int) -> list[int]:
    return [(await http.get(path)).status_code for _ in range(times)]


async def test_after_sixty_refusals_in_a_minute_an_address_has_to_wait() -> None:
    async with phone() as http:
        assert set(await statuses(http, "/v/404", 60)) == {404}
        refused = await http.get("/v/404")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "60"
        assert (await http.get("/v/403")).status_code == 429


async def test_a_hospital_whose_launches_are_refused_waits_later_and_keeps_no_patient_out() -> None:
    async with phone() as http:
        assert set(await statuses(http, "/launch/403", 600)) == {403}
        assert (await http.get("/launch/403")).status_code == 429
        assert (await http.get("/launch/303")).status_code == 303
        assert (await http.get("/v/404")).status_code == 404


async def test_a_person_who_has_to_wait_reads_so_in_their_language() -> None:
    async with phone() as http:
        await statuses(http, "/v/404", 60)
        page = await http.get("/v/404", headers={"Accept": "text/html", "Accept-Language": "es"})
        sentence = await http.post("/v/404/opened")
        assert (page.status_code, page.headers["Retry-After"]) == (429, "60")
        assert '<html lang="es"' in page.text
        assert "Espere un minuto" in page.text
        assert sentence.headers["Content-Type"].startswith("text/plain")


async def test_an_address_at_which_somebody_guesses_still_gets_good_links_opened() -> None:
    async with phone() as http:
        await statuses(http, "/v/404", 100)
        assert set(await statuses(http, "/v/200", 5)) == {200}
        assert (await http.get("/v/404")).status_code == 429


@pytest.mark.parametrize("path", ["/v/200", "/v/303", "/v/410", "/v/503", "/control/404"])
async def test_everything_else_is_never_limited(path: str) -> None:
    async with phone() as http:
        assert 429 not in await statuses(http, path, 200)


def test_a_network_of_one_host_counts_as_one_address() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7")
    assert network_of("192.0.2.8") != network_of("192.0.2.7")
