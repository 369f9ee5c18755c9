"""A clinician's session: one launch, one patient, one browser, for four hours."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from contract.visits.acting import CORRELATION, HEADING, LINK, Chart, clinician_of, listening, opened, signed_in, tables
from contract.visits.world import SPREAD_S, World

RELOAD = "event: reload\r\ndata: {}\r\n\r\n"
"""The whole stream of a page that shows nothing any more."""

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_BROWSER = "This page belongs to another browser window"
BUTTONS = ["join", "consult", "invitations", "revocations"]


@pytest_asyncio.fixture(loop_scope="module")
async def world(clinic: World) -> AsyncGenerator[World]:
    """The hospital, with its clock as it should be."""
    yield clinic
    await clinic.undisturb()


@pytest_asyncio.fixture(loop_scope="module")
async def chart(world: World) -> Chart:
    """The chart of a patient with one visit, of a clinician who has signed in."""
    patient = await world.patient()
    visit = await world.book(patient)
    return await signed_in(world, patient, visit["encounter"])


def refused(world: World, page: httpx.Response, status: int, title: str) -> None:
    """Assert that a page says this, in the EHR's frame, with whom to call."""
    text = html.unescape(page.text)
    assert (page.status_code, HEADING.findall(text)) == (status, [title])
    assert CORRELATION.search(text)
    assert "Help by phone" in text
    assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {world.cerner}")
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status"),
    [("nowhere", 404), ("visits/{visit}/revocations", 400), ("visits/{visit}/send", 400), ("visits/{visit}/join", 405)],
)
async def test_what_is_refused_before_any_page_is_shown_in_the_ehr_s_frame(
    world: World, chart: Chart, path: str, status: int
) -> None:
    url = f"{chart.url}/{path.format(visit=chart.visits[0])}"
    asking = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    posted = path.endswith(("revocations", "send"))
    page = await chart.browser.http.request(
        "POST" if posted else "GET", url, headers=asking, data={"csrf": chart.csrf} if posted else None
    )
    assert page.status_code == status
    assert HEADING.findall(page.text)
    assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {world.cerner}")


async def test_what_is_refused_outside_the_frame_is_framed_by_nobody(world: World) -> None:
    page = await world.browser().http.get(f"{world.connector}/sign-in/a/b", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")


async def meetings(world: World) -> int:
    return len(await world.meetings())


async def test_an_address_without_its_browser_s_cookie_opens_nothing(world: World, chart: Chart) -> None:
    stranger = world.browser()
    refused(world, await stranger.open(chart.url), 400, OTHER_BROWSER)
    other = world.browser()
    await opened(world, await world.patient(), browser=other)
    refused(world, await other.open(chart.url), 400, OTHER_BROWSER)
    assert (await other.http.get(chart.stream)).text == RELOAD


@pytest.mark.parametrize("button", ["invitations", "revocations"])
async def test_no_button_of_the_page_works_without_the_browser_s_cookie(
    world: World, chart: Chart, button: str
) -> None:
    stranger = Chart(world, world.browser(), chart.url, chart.page)
    answer = await stranger.press(chart.visits[0], button, number="1", role="guest")
    refused(world, answer, 400, OTHER_BROWSER)
    assert (await stranger.press(chart.visits[0], "copied")).status_code == 403


@pytest.mark.parametrize("button", ["join", "consult"])
async def test_a_window_that_a_button_opens_has_no_cookie_and_needs_what_only_the_page_knows(
    world: World, chart: Chart, button: str
) -> None:
    before = await meetings(world)
    window = Chart(world, world.browser(), chart.url, chart.page)
    for wrong in ("", "A" * 43, window.csrf[:-1]):
        refused(world, await window.press(chart.visits[0], button, csrf=wrong), 400, OTHER_BROWSER)
    assert await meetings(world) == before
    assert (await window.press(chart.visits[0], button)).status_code == 303


async def test_an_address_tells_nothing_of_the_patient(world: World) -> None:
    patient = await world.patient(given="Xanthippe", family="Quillfeather")
    visit = await world.book(patient)
    chart = await opened(world, patient, visit["encounter"])
    for secret in (patient, visit["id"], visit["encounter"], "Quillfeather"):
        assert not [one for one in chart.browser.visited if secret in one and one.startswith(world.connector)]


@pytest.mark.parametrize("place", [0, 40, -2])
async def test_a_session_that_was_changed_opens_nothing(chart: Chart, place: int) -> None:
    base, _, session = chart.url.rpartition("/")
    place %= len(session)
    changed = f"{session[:place]}{'A' if session[place] != 'A' else 'B'}{session[place + 1 :]}"
    page = await chart.browser.open(f"{base}/{changed}")
    assert (page.status_code, HEADING.findall(page.text)) == (400, ["This launch was not begun here"])


async def test_two_charts_side_by_side_stay_two_patients(world: World) -> None:
    browser = world.browser()
    who = clinician_of(world)
    first, second = await world.patient(), await world.patient()
    ours, theirs = await world.book(first), await world.book(second)
    one = await signed_in(world, first, ours["encounter"], browser=browser, **who)
    two = await signed_in(world, second, theirs["encounter"], browser=browser, **who)
    await one.reload()
    assert (len(one.visits), len(two.visits)) == (1, 1)
    assert one.visits != two.visits
    before = await meetings(world)
    for button in ["join", "consult", "invitations"]:
        answer = await one.press(two.visits[0], button, role="guest")
        refused(world, answer, 404, "This patient has no such visit any more")
    assert (await one.press(two.visits[0], "copied")).status_code == 409
    assert await meetings(world) == before
    await two.reload()
    assert "Link not sent" in two.page.text
    async with listening(browser, one.stream) as stream:
        event = await stream.next()
        assert event is not None
        assert event[1]["visit"] == one.visits[0]
        assert (await two.press(two.visits[0], "copied")).status_code == 204
        assert (await one.press(one.visits[0], "copied")).status_code == 204
        told = await stream.stage("link_sent")
        assert told["visit"] == one.visits[0]


async def test_the_stream_of_one_chart_is_worth_nothing_in_another(world: World) -> None:
    browser = world.browser()
    charts: list[Chart] = []
    for _ in range(2):
        patient = await world.patient()
        visit = await world.book(patient)
        charts.append(await signed_in(world, patient, visit["encounter"], browser=browser))
    one, two = charts
    stolen = f"{one.url}/stream?{two.stream.partition('?')[2]}"
    assert (await browser.http.get(stolen)).text == RELOAD
    assert (await browser.http.get(f"{one.url}/stream")).text == RELOAD


async def test_the_forms_of_one_chart_are_worth_nothing_in_another(world: World) -> None:
    browser = world.browser()
    who = clinician_of(world)
    first, second = await world.patient(), await world.patient()
    one = await signed_in(world, first, (await world.book(first))["encounter"], browser=browser, **who)
    two = await signed_in(world, second, (await world.book(second))["encounter"], browser=browser, **who)
    answer = await one.press(one.visits[0], "join", csrf=two.csrf)
    refused(world, answer, 400, OTHER_BROWSER)


@pytest.mark.parametrize("csrf", ["", "wrong", "ü" * 43, "A" * 43], ids=["none", "short", "no ASCII", "wrong"])
@pytest.mark.parametrize("button", BUTTONS)
async def test_a_form_without_the_page_s_token_does_nothing(world: World, chart: Chart, button: str, csrf: str) -> None:
    before = await meetings(world)
    answer = await chart.press(chart.visits[0], button, csrf=csrf, number="1", role="guest")
    refused(world, answer, 400, OTHER_BROWSER)
    assert await meetings(world) == before
    await chart.reload()
    assert "Guest's link" not in html.unescape(chart.page.text)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_of_another_origin_does_nothing(world: World, chart: Chart, site: str) -> None:
    before = await meetings(world)
    answer = await chart.press(chart.visits[0], "join", site=site)
    refused(world, answer, 400, OTHER_BROWSER)
    assert (await chart.press(chart.visits[0], "copied", site=site)).status_code == 403
    assert await meetings(world) == before


async def test_a_form_of_another_origin_does_nothing_in_an_old_browser_too(world: World, chart: Chart) -> None:
    address = chart.action(chart.visits[0], "copied")
    strange = await chart.browser.http.post(
        address, data={"csrf": chart.csrf}, headers={"Origin": "https://evil.example"}
    )
    ours = await chart.browser.http.post(address, data={"csrf": chart.csrf}, headers={"Origin": world.connector})
    assert (strange.status_code, ours.status_code) == (403, 204)


@pytest.mark.parametrize("button", [*BUTTONS, "copied"])
async def test_no_button_works_by_a_link(chart: Chart, button: str) -> None:
    answer = await chart.browser.http.get(chart.action(chart.visits[0], button), params={"csrf": chart.csrf})
    assert answer.status_code == 405
    assert "Location" not in answer.headers


async def test_a_session_ends_after_four_hours(world: World, chart: Chart) -> None:
    world.clock.ahead = timedelta(hours=4)
    refused(world, await chart.browser.open(chart.url), 400, "This page is too old")
    refused(world, await chart.press(chart.visits[0], "join"), 400, "This page is too old")
    assert (await chart.browser.http.get(chart.stream)).text == RELOAD
    assert (await chart.press(chart.visits[0], "copied")).status_code == 403


async def test_a_session_holds_for_a_clinic_s_half_day(world: World, chart: Chart) -> None:
    world.clock.ahead = timedelta(hours=3, minutes=59)
    assert (await chart.reload()).status_code == 200


async def test_nothing_of_a_session_is_kept_by_the_browser(chart: Chart) -> None:
    joined = await chart.press(chart.visits[0], "join")
    for answer in (chart.page, joined, await chart.press(chart.visits[0], "copied")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


async def test_joining_is_limited_for_a_visit_and_a_clinician(world: World, chart: Chart) -> None:
    statuses = [(await chart.press(chart.visits[0], "join")).status_code for _ in range(10)]
    assert statuses == [303] * 10
    answer = await chart.press(chart.visits[0], "join")
    refused(world, answer, 429, "That was too often")
    assert re.search(r"Wait (9|10) minutes", answer.text)
    assert (await chart.press(chart.visits[0], "consult")).status_code == 303
    world.clock.ahead = timedelta(minutes=10)
    assert (await chart.press(chart.visits[0], "join")).status_code == 303


async def test_results_of_device_tests_are_limited_for_a_patients_link(world: World, chart: Chart) -> None:
    (link,) = LINK.findall(chart.page.text)
    phone = world.browser()
    for result in ["no_camera"] * 30 + ["passed"]:
        assert (await phone.http.post(f"{link}/device-test", json={"result": result})).status_code == 204
    assert "Device test: no camera found" in (await chart.reload()).text


async def test_joining_is_limited_for_a_patients_link(world: World, chart: Chart) -> None:
    (link,) = LINK.findall(chart.page.text)
    phone = world.browser()
    for step in ("join", "opened"):
        statuses = [(await phone.submit(f"{link}/{step}", follow=False)).status_code for _ in range(30)]
        assert statuses == [303 if step == "join" else 204] * 30
    answer = await phone.submit(f"{link}/join")
    assert answer.status_code == 429
    assert "That was too often" in answer.text
    assert (await phone.open(link)).status_code == 200
    world.clock.ahead = timedelta(minutes=10)
    assert (await phone.submit(f"{link}/join", follow=False)).status_code == 303


async def test_every_copy_of_a_link_is_written_down(world: World, chart: Chart) -> None:
    statuses = [(await chart.press(chart.visits[0], "copied")).status_code for _ in range(7)]
    assert statuses == [204] * 7
    written = (await tables(world))["audit_event"]
    copies = [row for row in written if row["object"] == chart.visits[0] and row["outcome"] == "copy"]
    assert len(copies) == 7


async def test_guests_links_are_limited_for_a_visit(world: World, chart: Chart) -> None:
    answers = [await chart.press(chart.visits[0], "invitations", role="guest") for _ in range(21)]
    assert [one.status_code for one in answers[:20]] == [303] * 20
    refused(world, answers[20], 409, "This visit has as many links as it may have")


async def test_a_visit_that_is_none_is_said_to_be_none(chart: Chart) -> None:
    for name in ("A" * 43, "..", "%2e%2e", "x"):
        answer = await chart.press(name, "join")
        assert answer.status_code == 404


async def test_a_site_that_is_not_served_any_more_ends_its_sessions(world: World, chart: Chart) -> None:
    endpoints: Any = world.document["endpoints"]
    visit, csrf = chart.visits[0], chart.csrf
    await world.configure(endpoints=[one | {"active": False} for one in endpoints])
    try:
        await asyncio.sleep(SPREAD_S)
        title = "Visits are not active at this endpoint"
        refused(world, await chart.browser.open(chart.url), 403, title)
        refused(world, await chart.press(visit, "join", csrf=csrf), 403, title)
        assert (await chart.browser.http.get(chart.stream)).text == RELOAD
    finally:
        await world.configure(endpoints=endpoints)
        await asyncio.sleep(SPREAD_S)
    assert (await chart.reload()).status_code == 200


FAULTS = pytest.mark.parametrize(
    "fault",
    [
        {"action": "status", "status": 429},
        {"action": "status", "status": 503},
        {"action": "cut"},
        {"action": "half_answer"},
    ],
    ids=["429", "503", "down", "half-written"],
)


@FAULTS
async def test_an_ehr_that_does_not_answer_is_said_to_be_away(
    world: World, chart: Chart, fault: dict[str, Any]
) -> None:
    before = await meetings(world)
    visit, csrf = chart.visits[0], chart.csrf
    await world.fault(world.cerner, "/Appointment", **fault)
    try:
        refused(world, await chart.browser.open(chart.url), 502, "The EHR does not answer")
        refused(world, await chart.press(visit, "join", csrf=csrf), 502, "The EHR does not answer")
        # What the page shows is in the address of its stream: the status goes on.
        async with listening(chart.browser, chart.stream) as stream:
            assert (await stream.stage("not_sent"))["visit"] == visit
    finally:
        await world.control(world.cerner, "PUT", "faults", json=[])
    assert await meetings(world) == before


@FAULTS
async def test_a_board_without_its_encounter_shows_the_visits_all_the_same(
    world: World, chart: Chart, fault: dict[str, Any]
) -> None:
    visits = chart.visits
    await world.fault(world.cerner, "/Encounter", **fault)
    try:
        await chart.reload()
    finally:
        await world.control(world.cerner, "PUT", "faults", json=[])
    assert chart.visits == visits


async def test_an_ehr_that_does_not_tell_who_the_patient_is_is_said_to_be_away(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await signed_in(world, patient, visit["encounter"], needPatientBanner=True)
    assert "Quillfeather" in chart.page.text
    await world.fault(world.cerner, "/Patient/", action="status", status=503)
    try:
        refused(world, await chart.browser.open(chart.url), 502, "The EHR does not answer")
    finally:
        await world.control(world.cerner, "PUT", "faults", json=[])
