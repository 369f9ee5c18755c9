"""The meetings behind the board's buttons: who is in them and how, and the phone where there is none."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from contract.visits.acting import CORRELATION, HEADING, Chart, clinician_of, signed_in, tables
from contract.visits.world import CLINICIAN, ORGANIZER, Document, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINK = re.compile(r'value="(https://[^"]+/v/[^"]+)"')
BEN = "5e0f3a10-0000-4000-8000-000000000012"


@pytest_asyncio.fixture(loop_scope="module")
async def world(clinic: World) -> AsyncGenerator[World]:
    """The hospital, undisturbed, and afterwards as it was."""
    yield clinic
    await clinic.undisturb()


def links(chart: Chart) -> list[str]:
    """Return the links on the board: the patient's, then those of guests."""
    return [html.unescape(one) for one in LINK.findall(chart.page.text)]


# -- Meetings


async def ours(world: World, before: Sequence[Document]) -> list[Document]:
    """Return the meetings that are new."""
    known = {one["id"] for one in before}
    return [one for one in await world.meetings() if one["id"] not in known]


async def test_joining_makes_the_clinician_a_co_organizer_who_can_admit(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    before = await world.meetings()
    chart = await signed_in(world, patient, visit["encounter"])
    answer = await chart.press(chart.visits[0], "join")
    (meeting,) = await ours(world, before)
    assert answer.headers["Location"] == meeting["joinWebUrl"]
    assert [(one["identity"]["user"]["id"], one["role"]) for one in meeting["attendees"]] == [
        (CLINICIAN, "coorganizer")
    ]
    path = f"meetings/{meeting['id']}/participants"
    waiting = await world.control(world.graph, "POST", path, json={"displayName": "A patient"})
    clinician = await world.control(world.graph, "POST", path, json={"displayName": "Ada", "userId": CLINICIAN})
    assert (waiting["inLobby"], clinician["inLobby"]) == (True, False)
    admitted = await world.control(world.graph, "POST", f"{path}/{waiting['id']}/admit")
    assert admitted["admitted"] is not None


async def test_a_second_clinician_joins_as_co_organizer_beside_the_first(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    before = await world.meetings()
    for user in (CLINICIAN, BEN):
        chart = await signed_in(world, patient, visit["encounter"], user=user, **clinician_of(world))
        assert (await chart.press(chart.visits[0], "join")).status_code == 303
    (meeting,) = await ours(world, before)
    assert {one["identity"]["user"]["id"] for one in meeting["attendees"]} == {CLINICIAN, BEN}
    assert {one["role"] for one in meeting["attendees"]} == {"coorganizer"}


async def test_the_meeting_restricts_no_feature_of_teams(world: World) -> None:
    patient = await world.patient()
    before = await world.meetings()
    chart = await signed_in(world, patient, (await world.book(patient))["encounter"])
    await chart.press(chart.visits[0], "join")
    (meeting,) = await ours(world, before)
    assert meeting["options"] == {}
    assert meeting["lobbyBypassSettings"] == {"scope": "organization", "isDialInBypassEnabled": False}
    assert meeting["subject"] == "Virtual visit"
    assert meeting["organizer"] == ORGANIZER


async def test_a_consult_has_a_meeting_of_its_own_and_no_patient_s_link(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    before = await world.meetings()
    chart = await signed_in(world, patient, visit["encounter"])
    consult = await chart.press(chart.visits[0], "consult")
    (alone,) = await ours(world, before)
    assert consult.headers["Location"] == alone["joinWebUrl"]
    phone = world.browser()
    for link in links(chart):
        joined = await phone.submit(f"{link}/join", follow=False)
        assert joined.status_code == 303
        assert parse_qs(urlsplit(joined.headers["Location"]).query)
        assert not joined.headers["Location"].startswith(alone["joinWebUrl"])
    both = await ours(world, before)
    assert len({one["externalId"] for one in both}) == 2
    await chart.reload()
    assert len(chart.visits) == 1


async def test_a_consult_leaves_the_visit_s_status_as_it_is(world: World) -> None:
    patient = await world.patient()
    chart = await signed_in(world, patient, (await world.book(patient))["encounter"])
    await chart.press(chart.visits[0], "consult")
    assert "Link not sent" in (await chart.reload()).text


async def test_pressing_join_twice_opens_the_same_meeting(world: World) -> None:
    patient = await world.patient()
    before = await world.meetings()
    chart = await signed_in(world, patient, (await world.book(patient))["encounter"])
    addresses = {(await chart.press(chart.visits[0], "join")).headers["Location"] for _ in range(3)}
    assert len(addresses) == 1
    assert len(await ours(world, before)) == 1


# -- No meeting to be had


def offers_the_phone(world: World, page: httpx.Response, reason: str) -> None:
    """Assert that a page says that Teams gives no meeting, and why, and offers the phone."""
    text = html.unescape(page.text)
    assert (page.status_code, HEADING.findall(text)) == (502, ["Teams gives no meeting just now"])
    assert f"({reason})" in text
    assert "call the patient by phone" in text
    assert 'href="tel:+18005550199"' in text
    assert "GraphAuthorized" in text
    assert CORRELATION.search(text)
    assert page.headers["Content-Security-Policy"].endswith(f"frame-ancestors {world.cerner}")


async def nothing_half_made(world: World, chart: Chart) -> None:
    """Assert that a visit has no meeting, and that nothing is said to have happened in it."""
    found = await tables(world)
    (name,) = chart.visits
    assert [row["join_web_url"] for row in found["visit"] if row["visit"] == name] in ([], [None])
    assert not [row for row in found["visit_event"] if row["visit"] == name]
    assert not [row for row in found["audit_event"] if row["object"] == name]
    assert not [row for row in found["graph_subscription"] if row["visit"] == name]
    assert "Link not sent" in (await chart.reload()).text


REFUSALS: dict[str, tuple[str, Document, Document, str]] = {
    "access policy": (
        f"users/{ORGANIZER}",
        {"inApplicationAccessPolicy": False},
        {"inApplicationAccessPolicy": True},
        "AccessPolicyMissing",
    ),
    "licence": (f"users/{ORGANIZER}", {"licenses": []}, {"licenses": ["SPE_E3"]}, "GraphRefused"),
    "limit": ("settings", {"meetings_a_month": 0}, {"meetings_a_month": 2000}, "MeetingLimitReached"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("button", ["join", "consult"])
async def test_what_microsoft_refuses_ends_on_a_page_that_offers_the_phone(
    world: World, refusal: str, button: str
) -> None:
    path, broken, mended, reason = REFUSALS[refusal]
    patient = await world.patient()
    chart = await signed_in(world, patient, (await world.book(patient))["encounter"])
    before = len(await world.meetings())
    await world.control(world.graph, "PATCH", path, json=broken)
    try:
        answer = await chart.press(chart.visits[0], button)
    finally:
        await world.control(world.graph, "PATCH", path, json=mended)
    offers_the_phone(world, answer, reason)
    assert len(await world.meetings()) == before
    await nothing_half_made(world, chart)
    assert (await chart.press(chart.visits[0], button)).status_code == 303


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"action": "status", "status": 429, "retry_after_s": 5}, "GraphThrottled"),
        ({"action": "status", "status": 503}, "GraphUnavailable"),
        ({"action": "cut"}, "GraphUnavailable"),
        ({"action": "lose_answer"}, "GraphUnavailable"),
        ({"action": "half_answer"}, "GraphUnavailable"),
    ],
    ids=["429", "503", "down", "lost", "half-written"],
)
async def test_a_microsoft_that_fails_ends_on_a_page_that_offers_the_phone(
    world: World, method: str, fault: dict[str, Any], reason: str
) -> None:
    patient = await world.patient()
    before = await world.meetings()
    chart = await signed_in(world, patient, (await world.book(patient))["encounter"])
    (link,) = links(chart)
    await world.fault(world.graph, "onlineMeetings", method=method, **fault)
    answer = await chart.press(chart.visits[0], "join")
    # The lobby of a new meeting is as it must be, so a patient needs no PATCH.
    on_the_phone = await world.browser().submit(f"{link}/join", follow=False) if method == "POST" else None
    await world.control(world.graph, "PUT", "faults", json=[])
    offers_the_phone(world, answer, reason)
    assert on_the_phone is None or on_the_phone.status_code == 503
    await nothing_half_made(world, chart)
    assert (await chart.press(chart.visits[0], "join")).status_code == 303
    (meeting,) = await ours(world, before)
    assert [one["role"] for one in meeting["attendees"]] == ["coorganizer"]


async def test_without_a_credential_the_page_offers_the_phone(world: World) -> None:
    patient = await world.patient()
    chart = await signed_in(world, patient, (await world.book(patient))["encounter"])
    secret = world.work / "graph-secret"
    good = secret.read_text()
    await world.restart()  # tokens are kept for an hour
    secret.write_text("wrong")
    try:
        answer = await chart.press(chart.visits[0], "join")
    finally:
        secret.write_text(good)
    offers_the_phone(world, answer, "GraphCredentialRefused")
    assert (await chart.press(chart.visits[0], "join")).status_code == 303
