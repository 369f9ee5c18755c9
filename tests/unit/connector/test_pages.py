from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from ehr_connector.web.assets import Assets
from ehr_connector.web.correlation import correlation_id
from ehr_connector.web.locales import Locales
from ehr_connector.web.pages import Pages, answer_pages, content_security_policy
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
    context = {"title": "t", "text": "t", "remedy": "r", "audience": None, "help_phone": None, "retry_url": None}

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
