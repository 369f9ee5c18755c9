"""The one sign-in to Microsoft: what ties an account to a user of the EHR, and what does not."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from contract.visits.acting import CORRELATION, HEADING, Chart, clinician_of, listening, opened, tables
from contract.visits.test_clinician import CSRF, MATCHING, SIGN_IN, choose, sign_in
from contract.visits.world import CLINICIAN, ENTRA_TENANT, PRACTITIONER, SPREAD_S, Browser, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDED = "This sign-in has ended"
OTHER_ENTRA_TENANT = "72f988bf-0000-4000-8000-0000000000ff"
FAULTS = pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 503}, {"action": "status", "status": 429}, {"action": "cut"}],
    ids=["503", "429", "down"],
)


@pytest_asyncio.fixture(loop_scope="module")
async def world(clinic: World) -> AsyncGenerator[World]:
    """The hospital, undisturbed, and afterwards as it was."""
    yield clinic
    await clinic.undisturb()


@pytest_asyncio.fixture(loop_scope="module")
async def chart(world: World) -> Chart:
    """A chart of a clinician who was never here before."""
    patient = await world.patient()
    visit = await world.book(patient)
    return await opened(world, patient, visit["encounter"], **clinician_of(world))


def ticket(chart: Chart) -> str:
    """Return the address that the frame opens in a window."""
    found = SIGN_IN.search(chart.page.text)
    assert found is not None
    return chart.world.connector + html.unescape(found[1])


async def asked(chart: Chart, window: Browser, user: str = CLINICIAN) -> httpx.Response:
    """Go with a window through Microsoft, to the question whether account and launch belong together."""
    page = await choose(window, await window.open(ticket(chart)), user)
    assert HEADING.findall(page.text) == ["Is this your visit?"], page.text
    return page


async def answered(chart: Chart, window: Browser, page: httpx.Response, **changes: Any) -> httpx.Response:
    """Answer that question."""
    fields = {"csrf": CSRF.findall(page.text)[0], "answer": "yes"} | changes
    return await window.submit(f"{chart.world.connector}/sign-in/confirm", **fields)


async def is_signed_in(chart: Chart) -> bool:
    return HEADING.findall((await chart.reload()).text) == ["Video visits"]


async def nothing_came_of_it(chart: Chart, page: httpx.Response, status: int, title: str, *said: str) -> None:
    """Assert that a page says so, and that no account was tied to anybody."""
    text = html.unescape(page.text)
    assert (page.status_code, HEADING.findall(text)) == (status, [title])
    assert "What to do" in text
    assert CORRELATION.search(text)
    for one in said:
        assert one in text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert not await is_signed_in(chart)


async def test_one_sign_in_is_asked_for_and_a_second_launch_asks_nothing(world: World) -> None:
    who = clinician_of(world)
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await opened(world, patient, visit["encounter"], **who)
    assert HEADING.findall(chart.page.text) == ["Sign in to Microsoft once"]
    assert (await sign_in(world, chart.page)).status_code == 200
    again = await opened(world, patient, visit["encounter"], **who)
    assert HEADING.findall(again.page.text) == ["Video visits"]
    assert not [one for one in again.browser.visited if one.startswith(world.graph)]
    answer = await again.press(again.visits[0], "join")
    assert answer.headers["Location"].startswith(world.graph)


async def test_a_tenant_that_is_written_in_capitals_is_the_same_tenant(world: World) -> None:
    ours = world.document["microsoft365"]
    await world.configure(microsoft365=ours | {name: ours[name].upper() for name in ("tenantID", "clientID")})
    await asyncio.sleep(SPREAD_S)
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await opened(world, patient, visit["encounter"], **clinician_of(world))
    assert (await sign_in(world, chart.page)).status_code == 200
    assert await is_signed_in(chart)


async def test_the_pair_of_ids_is_all_that_is_stored_of_a_sign_in(world: World) -> None:
    user = {"fhirUser": f"{world.base_url()}/Practitioner/777000111", "name": "Dr. Philippa Stored-Nowhere"}
    patient = await world.patient(given="Rosalind", family="Neverstored", phone="8165550199")
    visit = await world.book(patient)
    chart = await opened(world, patient, visit["encounter"], idToken=user)
    assert (await sign_in(world, chart.page)).status_code == 200
    await chart.reload()
    assert (await chart.press(chart.visits[0], "join")).status_code == 303
    found = await tables(world)
    pairs = [row for row in found["account_link"] if row["ehr_user"] == "Practitioner/777000111"]
    assert [{**row, "linked_at": None} for row in pairs] == [
        {
            "base_url": world.base_url(),
            "ehr_user": "Practitioner/777000111",
            "tenant_id": ENTRA_TENANT,
            "entra_object_id": CLINICIAN,
            "linked_at": None,
        }
    ]
    rest = json.dumps({name: rows for name, rows in found.items() if name != "account_link"}, default=str)
    everything = json.dumps(found, default=str)
    jwt_like = "eyJhbGciOiJSUzI1NiJ9.e30.AA"
    assert len(found) > 10
    for kept_nowhere in (
        "Stored-Nowhere", "Ada Okafor", "ada.okafor", "Neverstored", "8165550199", visit["encounter"],
    ):  # fmt: skip
        assert kept_nowhere not in everything
    # A token has dots; the three letters alone stand in a random digest now and then.
    assert re.search(r"eyJ[\w-]+\.[\w-]+", everything) is None
    assert re.search(r"eyJ[\w-]+\.[\w-]+", f"{everything} {jwt_like}"), "or nothing would be found"
    for kept_as_a_pair_alone in ("777000111", CLINICIAN):
        assert kept_as_a_pair_alone not in rest


async def test_a_ticket_counts_once(world: World, chart: Chart) -> None:
    first, second = world.browser(), world.browser()
    mine, again = await asked(chart, first), await asked(chart, second)
    assert HEADING.findall((await answered(chart, first, mine)).text) == ["You are signed in"]
    page = await answered(chart, second, again)
    assert (page.status_code, HEADING.findall(page.text)) == (400, [ENDED])
    repeated = await answered(chart, first, mine)
    assert (repeated.status_code, HEADING.findall(repeated.text)) == (400, [ENDED])


async def test_a_used_ticket_ties_no_other_account(world: World, chart: Chart) -> None:
    window, other = world.browser(), world.browser()
    page = await asked(chart, other, user="ben.lindqvist@lamna.example")
    await answered(chart, window, await asked(chart, window))
    await answered(chart, other, page)
    rows = (await tables(world))["account_link"]
    assert "5e0f3a10-0000-4000-8000-000000000012" not in [row["entra_object_id"] for row in rows]


async def test_a_ticket_ends_after_ten_minutes(world: World, chart: Chart) -> None:
    address = ticket(chart)
    world.clock.ahead = timedelta(minutes=10)
    await nothing_came_of_it(chart, await world.browser().open(address), 400, ENDED, "reload the page in the EHR")


@pytest.mark.parametrize("minutes", [10, 11])
async def test_a_sign_in_that_took_too_long_ends(world: World, chart: Chart, minutes: int) -> None:
    window, late = world.browser(), world.browser()
    microsoft = await late.open(ticket(chart))
    page = await asked(chart, window)
    world.clock.ahead = timedelta(minutes=minutes)
    await nothing_came_of_it(chart, await choose(late, microsoft, CLINICIAN), 400, ENDED)
    await nothing_came_of_it(chart, await answered(chart, window, page), 400, ENDED)


@pytest.mark.parametrize("text", ["", "x", "A" * 300, "..%2Fcallback"])
async def test_a_ticket_of_nobody_is_none(world: World, chart: Chart, text: str) -> None:
    page = await world.browser().open(f"{world.connector}/sign-in/{text}")
    assert page.status_code in {400, 404}
    assert not await is_signed_in(chart)


async def test_a_session_is_no_ticket(world: World, chart: Chart) -> None:
    page = await world.browser().open(f"{world.connector}/sign-in/{chart.url.rpartition('/')[2]}")
    await nothing_came_of_it(chart, page, 400, ENDED)


async def test_who_says_no_stays_apart(world: World, chart: Chart) -> None:
    window = world.browser()
    page = await answered(chart, window, await asked(chart, window), answer="no")
    await nothing_came_of_it(chart, page, 200, "Nothing was connected", "tell your IT security")


@pytest.mark.parametrize("answer", ["", "maybe", "YES"])
async def test_only_a_yes_is_a_yes(world: World, chart: Chart, answer: str) -> None:
    window = world.browser()
    page = await answered(chart, window, await asked(chart, window), answer=answer)
    await nothing_came_of_it(chart, page, 200, "Nothing was connected")


@pytest.mark.parametrize(
    "changes",
    [{"csrf": ""}, {"csrf": "A" * 43}, {"csrf": "é"}, {"site": "cross-site"}],
    ids=["none", "wrong", "é", "site"],
)
async def test_a_yes_of_another_page_is_none(world: World, chart: Chart, changes: dict[str, str]) -> None:
    window = world.browser()
    page = await answered(chart, window, await asked(chart, window), **changes)
    await nothing_came_of_it(chart, page, 400, ENDED)


async def test_a_yes_in_another_window_is_none(world: World, chart: Chart) -> None:
    page = await asked(chart, world.browser())
    await nothing_came_of_it(chart, await answered(chart, world.browser(), page), 400, ENDED)


async def test_the_window_shows_the_account_and_the_text_that_the_frame_shows(world: World, chart: Chart) -> None:
    page = await asked(chart, world.browser())
    assert MATCHING.findall(page.text) == MATCHING.findall(chart.page.text)
    assert "ada.okafor@lamna.example" in page.text
    other = await opened(world, await world.patient(), **clinician_of(world))
    assert MATCHING.findall(other.page.text) != MATCHING.findall(chart.page.text)


async def test_who_sees_the_wrong_account_can_use_another(world: World, chart: Chart) -> None:
    window = world.browser()
    page = await asked(chart, window)
    (other,) = re.findall(r'<a href="([^"]+)">Use another account<', page.text)
    microsoft = await window.open(world.connector + html.unescape(other))
    assert str(microsoft.url).startswith(world.graph)
    assert "prompt=select_account" in str(microsoft.url)
    again = await choose(window, microsoft, "ben.lindqvist@lamna.example")
    assert "ben.lindqvist@lamna.example" in again.text
    assert HEADING.findall((await answered(chart, window, again)).text) == ["You are signed in"]


async def test_who_cancels_at_microsoft_can_try_again(world: World, chart: Chart) -> None:
    window = world.browser()
    page = await choose(window, await window.open(ticket(chart)), "")
    await nothing_came_of_it(chart, page, 403, "Microsoft did not sign you in", "The sign-in was cancelled.")
    retry = re.findall(r'<a class="button" href="([^"]+)"', page.text)[0]
    again = await window.open(world.connector + html.unescape(retry))
    assert str(again.url).startswith(world.graph)


async def test_an_account_of_another_tenant_is_tied_to_nobody(world: World, chart: Chart) -> None:
    standing = await world.control(world.graph, "GET", "world")
    ours = standing["tenants"][0]
    people = [one | {"id": one["id"][:-2] + "f" + one["id"][-1]} for one in ours["users"]]
    other = ours | {"id": OTHER_ENTRA_TENANT, "domain": "fabrikam.example", "users": people}
    await world.control(world.graph, "PUT", "world", json={"tenants": [ours, other]})
    window = world.browser()
    answer = await window.http.get(ticket(chart))
    address = answer.headers["Location"].replace(ENTRA_TENANT, OTHER_ENTRA_TENANT)
    try:
        page = await choose(window, await window.open(address), people[1]["id"])
    finally:
        await world.control(world.graph, "PUT", "world", json=standing)
    said = "The account is not one of your organization"
    await nothing_came_of_it(chart, page, 403, "Microsoft did not sign you in", said, "work account")
    (retry,) = re.findall(r'<a class="button" href="([^"]+)">Use another account<', page.text)
    assert str((await window.open(world.connector + html.unescape(retry))).url).startswith(world.graph)


async def test_an_answer_of_another_sign_in_is_tied_to_nobody(world: World, chart: Chart) -> None:
    mine, theirs = world.browser(), world.browser()
    await mine.open(ticket(chart))
    other = await opened(world, await world.patient(), **clinician_of(world))
    await asked(other, theirs)
    callback = next(one for one in theirs.visited if "/sign-in/callback?" in one)
    page = await mine.open(callback)
    await nothing_came_of_it(chart, page, 403, "Microsoft did not sign you in", "state")
    page = await world.browser().open(callback)
    await nothing_came_of_it(chart, page, 400, ENDED)


@FAULTS
@pytest.mark.parametrize("call", ["openid-configuration", "oauth2/v2.0/token"])
async def test_a_microsoft_that_does_not_answer_is_said_to_be_away(
    world: World, chart: Chart, fault: dict[str, Any], call: str
) -> None:
    window = world.browser()
    microsoft = await window.open(ticket(chart))
    await world.fault(world.graph, call, **fault)
    if call == "openid-configuration":
        page = await world.browser().open(ticket(chart))
    else:
        page = await choose(window, microsoft, CLINICIAN)
    await world.control(world.graph, "PUT", "faults", json=[])
    await nothing_came_of_it(
        chart, page, 502, "Microsoft sign-in is not available", "call the patient by phone", "GraphAuthorized"
    )
    retry = re.findall(r'<a class="button" href="([^"]+)"', page.text)[0]
    again = await window.open(world.connector + html.unescape(retry))
    if str(again.url).startswith(world.graph):
        again = await choose(window, again, CLINICIAN)
    assert HEADING.findall(again.text) == ["Is this your visit?"]


async def test_a_secret_that_microsoft_does_not_take_is_said_with_its_code(world: World, chart: Chart) -> None:
    window = world.browser()
    microsoft = await window.open(ticket(chart))
    secret = world.work / "graph-secret"
    good = secret.read_text()
    secret.write_text("wrong")
    page = await choose(window, microsoft, CLINICIAN)
    secret.write_text(good)
    await nothing_came_of_it(chart, page, 403, "Microsoft did not sign you in", "AADSTS7000215", "GraphAuthorized")


async def test_the_window_s_cookie_is_its_own_and_goes_when_it_is_done(world: World, chart: Chart) -> None:
    window = world.browser()
    answer = await window.http.get(ticket(chart))
    (cookie,) = answer.headers.get_list("Set-Cookie")
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-ehr-sign-in=")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax", "Secure"]
    assert len(cookie) < 4000
    done = await answered(chart, window, await asked(chart, window))
    assert done.headers["Set-Cookie"].startswith("__Host-ehr-sign-in=; Path=/; Max-Age=0")
    assert not window.http.cookies.get("__Host-ehr-sign-in", domain="localhost.local")


async def test_the_frame_learns_of_the_sign_in_by_its_stream(world: World, chart: Chart) -> None:
    address = html.unescape(re.findall(r'data-stream="([^"]+)"', chart.page.text)[0])
    async with listening(chart.browser, world.connector + address) as stream:
        await sign_in(world, chart.page)
        event = await stream.next()
        assert event is not None
        assert event[0] == "signed-in"
        assert await stream.next() is None


async def test_the_sign_in_of_one_clinician_is_nobody_else_s(world: World, chart: Chart) -> None:
    await sign_in(world, chart.page)
    other = await opened(world, await world.patient(), **clinician_of(world))
    assert HEADING.findall(other.page.text) == ["Sign in to Microsoft once"]


async def test_where_the_ehr_grants_no_fhir_user_the_subject_is_who_signs_in(world: World) -> None:
    claims = {"fhirUser": None, "profile": None, "sub": "somebody-without-a-resource"}
    names = (
        "Patient.read",
        "Appointment.read",
        "Appointment.write",
        "Encounter.read",
        "Location.read",
        "Practitioner.read",
    )
    scope = " ".join(["launch", "openid", "online_access", *(f"user/{name}" for name in names)])
    chart = await opened(
        world, await world.patient(), idToken=claims, answer={"scope": scope}, practitioner=PRACTITIONER
    )
    assert (await sign_in(world, chart.page)).status_code == 200
    assert await is_signed_in(chart)
    rows = (await tables(world))["account_link"]
    assert "somebody-without-a-resource" in [row["ehr_user"] for row in rows]
