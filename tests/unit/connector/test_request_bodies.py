"""A body that no form of ours can have is refused before anything of it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Form

from ehr_connector.metrics import Metrics
from ehr_connector.web.middleware import RequestMiddleware

LIMIT = 64 * 1024


async def _form(field: Annotated[str, Form()] = "") -> int:
    return len(field)


@pytest.fixture
def http() -> httpx.AsyncClient:
    app = FastAPI()
    for path in ("/page", "/control/form"):
        app.add_api_route(path, _form, methods=["POST"])
    wrapped = RequestMiddleware(app, Metrics(), own_limits=("/control/",))
    return httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url="https://visits.example")


async def _chunks(count: int) -> AsyncIterator[bytes]:
    yield b"field="
    for _ in range(count):
        yield b"x" * 1024


async def _posted(http: httpx.AsyncClient, path: str, kilobytes: int) -> int:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return (await http.post(path, content=_chunks(kilobytes), headers=headers)).status_code


async def test_a_form_of_ours_is_taken(http: httpx.AsyncClient) -> None:
    answer = await http.post("/page", data={"field": "x" * 1000})
    assert (answer.status_code, answer.text) == (200, "1000")
    assert await _posted(http, "/page", 60) == 200


async def test_a_body_that_says_that_it_is_too_large_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/page", data={"field": "x" * LIMIT})
    assert answer.status_code == 413
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_body_that_does_not_say_how_large_it_is_is_refused_where_it_is_too_large(
    http: httpx.AsyncClient,
) -> None:
    assert await _posted(http, "/page", 65) == 413


async def test_files_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.post("/page", files={"field": b"x"})).status_code == 415


async def test_what_limits_its_bodies_itself_gets_larger_ones(http: httpx.AsyncClient) -> None:
    assert (await http.post("/control/form", data={"field": "x" * LIMIT})).text == str(LIMIT)
