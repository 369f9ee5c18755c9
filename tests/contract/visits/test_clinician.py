"""The clinician's way: launch, sign in once, board, join."""

from __future__ import annotations

import html
import re

import httpx
from contract.visits.world import CLINICIAN, ORGANIZER, Browser, World

CSRF = re.compile(r'name="csrf" value="([^"]+)"')
SIGN_IN = re.compile(r'href="(/sign-in/[^"]+)"')
MATCHING = re.compile(r'class="matching"[^>]*>([^<]+)<')
ACTION = re.compile(r'action="([^"]+)"')


async def sign_in(world: World, page: httpx.Response, *, user: str = CLINICIAN, answer: str = "yes") -> httpx.Response:
    """Sign in to Microsoft in a window of its own, as the page in the frame asks."""
    window = world.browser()
    found = SIGN_IN.search(page.text)
    assert found is not None
    microsoft = await window.open(world.connector + html.unescape(found[1]))
    assert str(microsoft.url).startswith(world.graph)
    confirm = await choose(window, microsoft, user)
    assert MATCHING.findall(confirm.text) == MATCHING.findall(page.text)
    csrf = CSRF.findall(confirm.text)[0]
    return await window.submit(f"{world.connector}/sign-in/confirm", csrf=csrf, answer=answer)


async def choose(window: Browser, microsoft: httpx.Response, user: str) -> httpx.Response:
    """Choose an account on the stand-in's sign-in page."""
    action = html.unescape(ACTION.findall(microsoft.text)[0])
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', microsoft.text))
    answer = await window.http.post(
        str(microsoft.url.join(action)),
        data={name: html.unescape(value) for name, value in fields.items()} | {"user": user},
    )
    return await window._followed(answer)


async def test_a_launch_ends_on_the_sign_in_the_first_time(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    page = await world.browser().launch(await world.launch(patient, visit["encounter"]))
    assert page.status_code == 200, page.text
    assert "/clinician/" in str(page.url)
    assert SIGN_IN.search(page.text)
    assert "Quillfeather" not in page.text


async def test_after_one_sign_in_the_board_shows_the_visit_and_join_opens_the_meeting(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    frame = world.browser()
    page = await frame.launch(await world.launch(patient, visit["encounter"]))
    done = await sign_in(world, page)
    assert done.status_code == 200
    board = await frame.open(str(page.url))
    csrf = CSRF.findall(board.text)[0]
    (join,) = [action for action in ACTION.findall(board.text) if action.endswith("/join")]
    answer = await frame.submit(world.connector + join, follow=False, csrf=csrf)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].startswith(world.graph)
    (meeting,) = await world.meetings()
    assert meeting["organizer"] == ORGANIZER
