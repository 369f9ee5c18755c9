from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from browser.pages_app import VisitDouble, look, pages_app
from fastapi import FastAPI, Request

from ehr_clients.errors import RefusedError
from ehr_connector.visits.booking import Access
from ehr_connector.visits.links import Role
from ehr_connector.web.assets import Assets
from ehr_connector.web.correlation import correlation_id
from ehr_connector.web.locales import Locales
from ehr_connector.web.origin import same_origin
from ehr_connector.web.pages import Pages, answer_pages, content_security_policy, phone_text
from ehr_connector.web.problems import answer_problems


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(Locales(), Assets())


def request(path: str = "/v/abc", query: str = "", headers: Mapping[str, str] | None = None) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": raw,
        "scheme": "https",
        "server": ("clinic.example", 443),
    }
    return Request(scope)


def error(pages: Pages, asked: Request, **more: Any) -> httpx.Response:
    texts = {"title": "There is no such page", "text": "The page could not be shown.", "remedy": "Try again"}
    page = pages.error(asked, **{**texts, "status": 404, **more})
    return httpx.Response(page.status_code, headers=page.raw_headers, content=bytes(page.body))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("+18005550199", "+1 800-555-0199"),
        ("+442079460018", "+44 20 7946 0018"),
        ("+1 (800) 555-0199", "+1 (800) 555-0199"),
        ("800 555 0199, then 2", "800 555 0199, then 2"),
        ("+999999999999999", "+999999999999999"),
    ],
)
def test_a_phone_number_is_shown_as_people_read_it(written: str, shown: str) -> None:
    assert phone_text(written) == shown


def test_a_page_is_framed_by_nobody_unless_named(pages: Pages) -> None:
    alone = error(pages, request())
    framed = error(pages, request(), frame_ancestors=["https://powerchart.example"])

    assert "frame-ancestors 'none'" in alone.headers["content-security-policy"]
    assert "frame-ancestors https://powerchart.example" in framed.headers["content-security-policy"]


def test_the_policy_allows_nothing_inline_and_no_other_origin() -> None:
    policy = content_security_policy(form_targets=["https://teams.example"])

    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; ")
    assert "script-src 'self';" in policy
    assert "form-action 'self' https://teams.example;" in policy
    assert [word for word in policy.split() if word.startswith("https:")] == ["https://teams.example;"]


def test_camera_and_microphone_are_for_pages_with_a_device_test_alone(pages: Pages) -> None:
    asked = request()
    texts = {"title": "t", "text": "t", "remedy": "r", "retry_text": "a"}
    context = texts | {"audience": None, "help_phone": None, "retry_url": None}

    without = pages.render(asked, "error.html", context).headers["permissions-policy"]
    having = pages.render(asked, "error.html", context, devices=True).headers["permissions-policy"]

    assert "camera=()" in without
    assert "microphone=()" in without
    assert "camera=(self)" in having
    assert "microphone=(self)" in having


def test_an_error_page_says_what_is_wrong_what_to_do_whom_to_call_and_its_reference(pages: Pages) -> None:
    token = correlation_id.set("0123abcd")
    try:
        page = error(pages, request(), help_phone="+1 555 0100", audience="This is for your administrator.")
    finally:
        correlation_id.reset(token)

    assert page.status_code == 404
    for told in ("There is no such page", "could not be shown", "Try again", "administrator", "0123abcd"):
        assert told in page.text
    assert 'href="tel:+15550100"' in page.text


def test_values_in_a_text_are_escaped(pages: Pages) -> None:
    page = error(pages, request(), text="Launched from %(iss)s.", values={"iss": "<script>alert(1)</script>"})

    assert "<script>alert" not in page.text
    assert "Launched from &lt;script&gt;" in page.text


def test_the_page_speaks_the_browsers_language_and_says_so(pages: Pages) -> None:
    page = error(pages, request(headers={"accept-language": "ar-EG,en;q=0.5"}))

    assert page.headers["content-language"] == "ar"
    assert "Accept-Language" in page.headers["vary"]
    assert '<html lang="ar" dir="rtl">' in page.text


def test_the_chooser_keeps_the_rest_of_the_query(pages: Pages) -> None:
    page = error(pages, request("/device-test", "record=lamna%2Ftest&lang=es", {"accept-language": "ar"}))

    assert page.headers["content-language"] == "es"
    assert 'href="/device-test?record=lamna%2Ftest&amp;lang=zh-Hans"' in page.text


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/v/abc/unknown", "text/html,*/*;q=0.8", "text/html"),
        ("/v/abc/unknown", "application/json", "application/problem+json"),
        ("/control/v1/unknown", "text/html", "application/problem+json"),
    ],
    ids=["a browser at a page", "a program at a page", "a browser at an API"],
)
async def test_browsers_get_pages_and_programs_get_problems(
    pages: Pages, path: str, accept: str, media_type: str
) -> None:
    app = FastAPI()
    answer_problems(app)
    answer_pages(app, pages, ["/v/"])
    transport = httpx.ASGITransport(app)

    async with httpx.AsyncClient(transport=transport, base_url="https://clinic.example") as http:
        answer = await http.get(path, headers={"accept": accept})

    assert answer.status_code == 404
    assert answer.headers["content-type"].split(";")[0] == media_type


@pytest.fixture
def visits() -> VisitDouble:
    return VisitDouble()


@pytest.fixture
async def patient(visits: VisitDouble) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(pages_app(visits))
    async with httpx.AsyncClient(transport=transport, base_url="https://clinic.example") as http:
        yield http


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_to_look_at_a_link_tells_the_service_nothing(
    patient: httpx.AsyncClient, visits: VisitDouble, method: str
) -> None:
    answer = await patient.request(method, "/v/t")

    assert answer.status_code == 200
    assert visits.told == []


async def test_a_link_is_neither_indexed_nor_kept_nor_told_to_others(patient: httpx.AsyncClient) -> None:
    headers = (await patient.get("/v/t")).headers

    assert headers["cache-control"] == "no-store"
    assert "noindex" in headers["x-robots-tag"]
    assert headers["referrer-policy"] == "same-origin"


async def test_joining_redirects_to_teams(patient: httpx.AsyncClient, visits: VisitDouble) -> None:
    visits.address = "https://teams.microsoft.com/l/meetup-join/x"

    answer = await patient.post("/v/t/join", headers={"sec-fetch-site": "same-origin"})

    assert answer.status_code == 303
    assert answer.headers["location"] == visits.address
    assert visits.told == ["join"]


@pytest.mark.parametrize("path", ["join", "opened", "device-test"])
async def test_what_another_site_posts_does_nothing(patient: httpx.AsyncClient, visits: VisitDouble, path: str) -> None:
    answer = await patient.post(f"/v/t/{path}", headers={"sec-fetch-site": "cross-site"}, json={"result": "passed"})

    assert answer.status_code == 403
    assert visits.told == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"result": "well"}',
        b'{"result": ["passed"]}',
        b"\xff",
        b'{"result": "' + b"x" * 2000 + b'"}',
    ],
    ids=["nothing", "a list", "no result", "an unknown code", "no code", "no text", "too much"],
)
async def test_a_device_test_takes_its_own_codes_alone(
    patient: httpx.AsyncClient, visits: VisitDouble, body: bytes
) -> None:
    refused = await patient.post("/v/t/device-test", content=body)
    taken = await patient.post("/v/t/device-test", json={"result": "no_camera"})

    assert (refused.status_code, taken.status_code) == (400, 204)
    assert visits.told == ["device test no_camera"]


async def test_a_visit_that_closed_meanwhile_shows_why_in_place_of_teams(
    patient: httpx.AsyncClient, visits: VisitDouble
) -> None:
    visits.shown = look(Access.LATE)

    answer = await patient.post("/v/t/join")

    assert answer.status_code == 409
    assert "The time to join has passed" in answer.text


async def test_a_meeting_that_cannot_be_had_gets_a_page_with_the_phone_and_a_retry(
    patient: httpx.AsyncClient, visits: VisitDouble
) -> None:
    visits.refusal = RefusedError("Microsoft Graph", "make a meeting", "no meeting", status=403)

    answer = await patient.post("/v/t/join", headers={"accept": "text/html"})

    assert answer.status_code == 503
    assert 'href="tel:+15550100199"' in answer.text
    assert 'href="/v/t">Try again' in answer.text


async def test_a_clinician_may_join_before_the_patient(patient: httpx.AsyncClient, visits: VisitDouble) -> None:
    visits.shown = look(Access.EARLY, Role.PROVIDER)

    page = (await patient.get("/v/t")).text

    assert "Join as the clinician" in page
    assert "data-countdown" not in page


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "https://clinic.example"}, True),
        ({"origin": "https://elsewhere.example"}, False),
        ({"origin": "https://clinic.example.elsewhere.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://clinic.example"}, False),
        ({}, True),
    ],
)
def test_a_post_counts_only_from_our_own_pages(headers: dict[str, str], same: bool) -> None:
    assert same_origin(request(headers={"host": "clinic.example", **headers})) is same
