"""What is known of the product that is replaced, as far as it speaks of clinicians and patients: each must be true of ours.

The numbers are those of the facts about the EHR connector as Microsoft described it first.
"""

from __future__ import annotations

import html
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from contract.visits.acting import HEADING, LINK, Chart, clinician_of, listening, opened, signed_in, tables, until
from contract.visits.test_clinician import SIGN_IN, sign_in
from contract.visits.world import CLINICIAN, ORGANIZER, PRACTITIONER, TENANT, Document, World

from ehr_connector.teams import preflight
from ehr_sandbox.cerner.people import person

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROWSERS = {
    "Edge on Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/155.0.0.0 Safari/537.36 Edg/155.0.0.0",
    "Safari on an iPhone": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Chrome on Android": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/155.0.0.0 Mobile Safari/537.36",
}

EXPLORER = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"


@pytest_asyncio.fixture(loop_scope="module")
async def world(clinic: World) -> AsyncGenerator[World]:
    """The hospital, with its clock as it should be."""
    yield clinic
    await clinic.undisturb()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(world: World) -> Document:
    """A visit that is open: `{id, encounter, patient, …}`."""
    patient = await world.patient(given="Rosalind", family="Factsworth", phone="8165550142", birthDate="1957-03-02")
    return await world.book(patient) | {"patient": patient}


@pytest_asyncio.fixture(loop_scope="module")
async def chart(world: World, visit: Document) -> Chart:
    """The patient's chart, of a clinician who has signed in."""
    return await signed_in(world, visit["patient"], visit["encounter"])


def link_of(chart: Chart) -> str:
    """Return the patient's link as it stands on the board."""
    return html.unescape(LINK.findall(chart.page.text)[0])


async def meeting_of(world: World, join_web_url: str) -> Document:
    (found,) = [one for one in await world.meetings() if join_web_url.startswith(one["joinWebUrl"])]
    return found


async def heard(world: World, meeting: Document) -> None:
    """Wait until the meeting is listened to."""

    async def is_heard() -> bool:
        alive = await world.control(world.graph, "GET", "subscriptions")
        return len(alive) >= len(await world.meetings())

    assert meeting["id"]
    await until(is_heard)


async def test_s1_a_clinician_starts_a_visit_with_the_patient_from_the_ehr(chart: Chart) -> None:
    answer = await chart.press(chart.visits[0], "join")
    assert answer.headers["Location"].startswith(chart.world.graph)


async def test_s1_a_clinician_starts_a_consult_with_another_provider_from_the_ehr(world: World, chart: Chart) -> None:
    visit = await chart.press(chart.visits[0], "join")
    consult = await chart.press(chart.visits[0], "consult")
    assert consult.headers["Location"].startswith(world.graph)
    assert consult.headers["Location"] != visit.headers["Location"]
    meeting = await meeting_of(world, consult.headers["Location"])
    assert [one["role"] for one in meeting["attendees"]] == ["coorganizer"]


async def test_s2_the_link_that_a_message_carries_opens_the_visit(world: World, chart: Chart) -> None:
    link = link_of(chart)
    assert len(link) <= 255
    assert (await world.browser().open(link)).status_code == 200


@pytest.mark.parametrize("lacking", [{"licenses": ["EXCHANGESTANDARD"]}, {"disabledPlans": ["TEAMS1"]}])
async def test_s4_who_holds_the_meetings_needs_a_teams_licence_and_is_named_with_what_mends_it(
    world: World, monkeypatch: pytest.MonkeyPatch, lacking: Document
) -> None:
    for kept in ("_GOOD_S", "_BAD_S"):
        monkeypatch.setattr(preflight, kept, 0.0)
    tenants = (await world.control(world.graph, "GET", "world"))["tenants"]
    (organizer,) = [user for tenant in tenants for user in tenant["users"] if user["id"] == ORGANIZER]
    report = f"{world.connector}/control/v1/organizations/lamna/lamna/graph"
    bearer = {"Authorization": f"Bearer {world.issuer.token()}"}
    await world.control(world.graph, "PATCH", f"users/{ORGANIZER}", json=lacking)
    try:
        found = (await world.http.get(report, headers=bearer)).json()["findings"]
    finally:
        restored = {name: organizer[name] for name in lacking}
        await world.control(world.graph, "PATCH", f"users/{ORGANIZER}", json=restored)
    assert [(one["reason"], one["organizer"]) for one in found] == [("OrganizerNotLicensed", ORGANIZER)]
    assert found[0]["remedy"].startswith(f"Set-MgUserLicense -UserId {ORGANIZER}")
    assert (await world.http.get(report, headers=bearer)).json()["findings"] == []


@pytest.mark.parametrize("browser", ["Trident", "Firefox"])
async def test_s4_a_browser_that_teams_does_not_support_is_told_which_do(
    world: World, chart: Chart, browser: str
) -> None:
    phone = world.browser()
    phone.http.headers["User-Agent"] = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {browser}/7.0"
    page = html.unescape((await phone.open(link_of(chart))).text)
    assert "Chrome" in page
    assert "Edge" in page
    assert "Safari" in page
    assert "/join" not in page


@pytest.mark.parametrize(("browser", "passes"), [("Edge on Windows", True), ("Internet Explorer 11", False)])
async def test_s4_the_edge_inside_powerchart_opens_the_board(
    world: World, visit: Document, browser: str, passes: bool
) -> None:
    frame = world.browser()
    frame.http.headers["User-Agent"] = {**BROWSERS, "Internet Explorer 11": EXPLORER}[browser]
    chart = await signed_in(world, visit["patient"], visit["encounter"], browser=frame)
    assert chart.offers("join") == chart.visits
    assert ("Use Edge or Chrome on Windows" in chart.page.text) is not passes


async def test_s1_a_consult_needs_no_visit_of_the_patient(world: World) -> None:
    chart = await signed_in(world, await world.patient())
    assert chart.visits == []
    assert f'action="{urlsplit(chart.url).path}/consult"' in chart.page.text
    pressed = [await chart.browser.submit(f"{chart.url}/consult", follow=False, csrf=chart.csrf) for _ in range(2)]
    assert [answer.status_code for answer in pressed] == [303, 303]
    meeting = await meeting_of(world, pressed[0].headers["Location"])
    assert pressed[1].headers["Location"] == pressed[0].headers["Location"]
    assert [one["role"] for one in meeting["attendees"]] == ["coorganizer"]


async def test_s6_the_page_names_the_department_and_which_environment_it_is(world: World, chart: Chart) -> None:
    assert "Clinic 4" in chart.page.text
    assert "Test environment" in chart.page.text
    assert "Clinic 4" in (await world.browser().open(link_of(chart))).text


async def test_s14_the_board_shows_the_visit_and_offers_to_join_and_to_pass_the_link_on(chart: Chart) -> None:
    assert HEADING.findall(chart.page.text) == ["Video visits"]
    assert "Video Visit · Clinic 4" in html.unescape(chart.page.text)
    assert chart.offers("join") == chart.visits
    assert link_of(chart)
    assert (await chart.press(chart.visits[0], "copied")).status_code == 204
    assert "Link sent" in (await chart.reload()).text


async def test_s14_the_provider_signs_in_once_then_goes_straight_in(world: World, visit: Document) -> None:
    who = clinician_of(world)
    first = await opened(world, visit["patient"], visit["encounter"], **who)
    assert SIGN_IN.search(first.page.text)
    await sign_in(world, first.page)
    again = await opened(world, visit["patient"], visit["encounter"], **who)
    assert not SIGN_IN.search(again.page.text)
    answer = await again.press(again.visits[0], "join")
    meeting = await meeting_of(world, answer.headers["Location"])
    path = f"meetings/{meeting['id']}/participants"
    clinician = await world.control(world.graph, "POST", path, json={"displayName": "Ada", "userId": CLINICIAN})
    assert clinician["inLobby"] is False


async def test_s15_the_provider_gets_teams_own_address_with_every_feature(world: World, chart: Chart) -> None:
    answer = await chart.press(chart.visits[0], "join")
    meeting = await meeting_of(world, answer.headers["Location"])
    assert answer.headers["Location"] == meeting["joinWebUrl"]
    assert "anon=true" not in answer.headers["Location"]
    assert meeting["options"] == {}


async def test_s16_the_provider_sees_in_the_ehr_how_the_patient_connects(
    world: World, visit: Document, chart: Chart
) -> None:
    phone = world.browser()
    link = link_of(chart)
    async with listening(chart.browser, chart.stream) as stream:
        await phone.submit(f"{link}/opened")
        await stream.stage("opened")
        joined = await phone.submit(f"{link}/join", follow=False)
        await stream.stage("joining")
        meeting = await meeting_of(world, joined.headers["Location"])
        await heard(world, meeting)
        path = f"meetings/{meeting['id']}/participants"
        patient = await world.control(world.graph, "POST", path, json={"displayName": "Rosalind Factsworth"})
        assert (await stream.stage("in_lobby"))["alert"] is True

        async def is_arrived() -> bool:
            return (await world.in_ehr(visit["id"]))["status"] == "arrived"

        await until(is_arrived, seconds=30)
        await world.control(world.graph, "POST", f"{path}/{patient['id']}/admit")
        await stream.stage("in_visit")
        await world.control(world.graph, "POST", f"{path}/{patient['id']}/leave")
        await stream.stage("left")


async def test_s17_the_patient_sees_nothing_of_who_the_provider_is(world: World, chart: Chart) -> None:
    provider = person(1, TENANT, "Practitioner", PRACTITIONER)
    phone = world.browser()
    await chart.press(chart.visits[0], "join")
    page = await phone.open(link_of(chart))
    joined = await phone.submit(f"{link_of(chart)}/join", follow=False)
    meeting = await meeting_of(world, joined.headers["Location"])
    seen = "\n".join([page.text, str(page.headers), link_of(chart), joined.text, str(meeting["subject"])])
    for name in (provider.family, provider.given, PRACTITIONER, CLINICIAN, "Ada Okafor", "ada.okafor"):
        assert name not in seen
    assert meeting["subject"] == "Virtual visit"


@pytest.mark.parametrize("browser", BROWSERS)
async def test_s18_the_patient_joins_with_one_click_without_account_or_app(
    world: World, chart: Chart, browser: str
) -> None:
    phone = world.browser()
    phone.http.headers["User-Agent"] = BROWSERS[browser]
    page = await phone.open(link_of(chart))
    assert page.status_code == 200
    assert page.text.count(f'action="/v/{link_of(chart).rpartition("/")[2]}/join"') == 1
    assert 'type="password"' not in page.text
    assert "login" not in page.text.lower()
    joined = await phone.submit(f"{link_of(chart)}/join", follow=False)
    assert joined.status_code == 303
    assert joined.headers["Location"].endswith("anon=true")
    assert not phone.http.cookies


async def test_s18_the_patient_waits_in_the_lobby_until_the_provider_admits(world: World, chart: Chart) -> None:
    joined = await world.browser().submit(f"{link_of(chart)}/join", follow=False)
    meeting = await meeting_of(world, joined.headers["Location"])
    assert meeting["lobbyBypassSettings"]["scope"] == "organization"
    path = f"meetings/{meeting['id']}/participants"
    patient = await world.control(world.graph, "POST", path, json={"displayName": "A patient"})
    assert patient["inLobby"] is True
    admitted = await world.control(world.graph, "POST", f"{path}/{patient['id']}/admit")
    assert admitted["inLobby"] is False


async def test_s18_the_link_works_at_the_time_of_the_visit(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient, starts_in=timedelta(hours=3))
    chart = await signed_in(world, patient, visit["encounter"])
    link, phone = link_of(chart), world.browser()
    early = await phone.submit(f"{link}/join", follow=False)
    assert early.status_code == 409
    world.clock.ahead = timedelta(hours=2, minutes=45)
    assert (await phone.submit(f"{link}/join", follow=False)).status_code == 303
    world.clock.ahead = timedelta(hours=8)
    assert (await phone.open(link)).status_code == 410


async def test_s18_the_patient_can_test_camera_and_microphone(world: World, chart: Chart) -> None:
    page = await world.browser().open(link_of(chart))
    assert "data-device-test" in page.text
    assert "camera=(self), microphone=(self)" in page.headers["Permissions-Policy"]


async def test_s19_the_ids_of_the_clinician_are_the_only_personal_data_that_are_stored(
    world: World, visit: Document, chart: Chart
) -> None:
    phone = world.browser()
    joined = await phone.submit(f"{link_of(chart)}/join", follow=False)
    await chart.press(chart.visits[0], "join")
    meeting = await meeting_of(world, joined.headers["Location"])
    await heard(world, meeting)
    path = f"meetings/{meeting['id']}/participants"
    patient = await world.control(world.graph, "POST", path, json={"displayName": "Rosalind Factsworth"})

    async def is_told() -> bool:
        found = await tables(world)
        return any(row["visit"] == chart.visits[0] and row["kind"] == "in_lobby" for row in found["visit_event"])

    await until(is_told)
    found = await tables(world)
    everything = json.dumps(found, default=str)
    assert chart.visits[0] in everything
    for secret in _secrets(visit, patient, chart):
        assert secret not in everything
    assert {row["ehr_user"] for row in found["account_link"]} >= {f"Practitioner/{PRACTITIONER}"}


def _secrets(visit: Document, participant: Document, chart: Chart) -> list[Any]:
    """Return what must stand in no table; the patient's page is asked for nothing, so only ids and names are left."""
    names = ["Factsworth", "Rosalind", "8165550142", "1957-03-02", "Ada Okafor"]
    ids = [visit["patient"], visit["encounter"], f'"{visit["id"]}"', participant["id"]]
    return [*names, *ids, link_of(chart).rpartition("/")[2], chart.url.rpartition("/")[2]]
