"""The board: which visits it shows, in which order, and what its buttons do at Microsoft."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
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


async def board(world: World, patient: str, encounter: str | None = None, **changes: Any) -> Chart:
    return await signed_in(world, patient, encounter, **changes)


def shown(chart: Chart) -> tuple[list[str], list[str]]:
    """Return the clinic's times of the visits of today, and of the next ones."""
    today, _, upcoming = chart.page.text.partition('<section aria-labelledby="upcoming">')
    times = re.compile(r'<h3 id="when-[^"]+">\s*<time datetime="([^"]+)">')
    return times.findall(today), times.findall(upcoming)


def moments(*starts: str) -> list[str]:
    return [datetime.fromisoformat(start).astimezone(UTC).isoformat() for start in starts]


async def booked(world: World, patient: str, *starts: str, **changes: Any) -> list[Document]:
    return [await world.book(patient, start=start, **changes) for start in starts]


# -- Which visits


async def test_today_s_visits_and_the_next_ones_stand_apart(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    today = ["2027-02-09T14:00:00Z", "2027-02-09T18:10:00Z", "2027-02-09T23:00:00Z"]
    upcoming = ["2027-02-10T15:00:00Z", "2027-02-22T15:00:00Z"]
    await booked(world, patient, *upcoming, *today, "2027-02-08T15:00:00Z", "2027-02-24T15:00:00Z")
    chart = await board(world, patient)
    assert shown(chart) == (moments(today[1], today[0], today[2]), moments(*upcoming))


@pytest.mark.parametrize(
    ("now", "before", "today", "upcoming"),
    [
        (
            "2027-02-10T05:30:00Z",  # 23:30 on the 9th
            "2027-02-09T05:45:00Z",  # 23:45 on the 8th
            ["2027-02-10T05:45:00Z", "2027-02-09T06:15:00Z"],  # 23:45, which is open, and 00:15
            ["2027-02-10T06:15:00Z"],  # 00:15 on the 10th
        ),
        (
            "2027-02-10T06:10:00Z",  # 00:10 on the 10th
            "2027-02-10T05:45:00Z",  # 23:45 on the 9th
            ["2027-02-10T06:15:00Z", "2027-02-11T05:45:00Z"],  # 00:15 and 23:45
            ["2027-02-11T06:15:00Z"],  # 00:15 on the 11th
        ),
    ],
    ids=["before midnight", "after midnight"],
)
async def test_today_is_the_clinic_s_day_also_near_midnight(
    world: World, now: str, before: str, today: list[str], upcoming: list[str]
) -> None:
    patient = await world.patient()
    world.clock.at = datetime.fromisoformat(now)
    await booked(world, patient, before, *today, *upcoming)
    assert shown(await board(world, patient)) == (moments(*today), moments(*upcoming))


@pytest.mark.parametrize(
    ("now", "before", "today", "upcoming"),
    [
        (
            "2027-03-14T20:00:00Z",
            "2027-03-14T05:45:00Z",  # 23:45 CST on the 13th
            ["2027-03-14T06:30:00Z", "2027-03-14T07:45:00Z", "2027-03-14T08:15:00Z", "2027-03-15T04:45:00Z"],
            ["2027-03-15T05:15:00Z"],  # 00:15 CDT on the 15th
        ),
        (
            "2027-11-07T20:00:00Z",
            "2027-11-07T04:45:00Z",  # 23:45 CDT on the 6th
            ["2027-11-07T05:15:00Z", "2027-11-07T06:30:00Z", "2027-11-07T07:30:00Z", "2027-11-08T05:45:00Z"],
            ["2027-11-08T06:15:00Z"],  # 00:15 CST on the 8th
        ),
    ],
    ids=["23 hours", "25 hours"],
)
async def test_today_is_the_clinic_s_day_when_the_clocks_change(
    world: World, now: str, before: str, today: list[str], upcoming: list[str]
) -> None:
    patient = await world.patient()
    world.clock.at = datetime.fromisoformat(now)
    await booked(world, patient, before, *today, *upcoming)
    assert shown(await board(world, patient)) == (moments(*today), moments(*upcoming))


async def test_times_are_the_clinic_s(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 3, 14, 20, 0, tzinfo=UTC)
    await booked(world, patient, "2027-03-14T07:45:00Z", "2027-03-14T08:15:00Z")
    text = html.unescape((await board(world, patient)).page.text).replace("\u202f", " ")
    assert "1:45 AM" in text
    assert "3:15 AM" in text
    assert "Video Visit · Clinic 4" in text


async def test_the_open_visit_stands_first(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    await booked(world, patient, "2027-02-09T10:00:00Z", "2027-02-09T18:20:00Z")
    chart = await board(world, patient)
    assert shown(chart)[0] == moments("2027-02-09T18:20:00Z", "2027-02-09T10:00:00Z")
    assert chart.page.text.count("Open now") == 1


async def test_of_two_open_visits_the_nearer_one_stands_first(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    await booked(world, patient, "2027-02-09T15:00:00Z", "2027-02-09T18:20:00Z")
    chart = await board(world, patient)
    assert shown(chart)[0] == moments("2027-02-09T18:20:00Z", "2027-02-09T15:00:00Z")
    assert chart.page.text.count("Open now") == 2


async def test_the_encounter_s_visit_stands_before_the_open_one(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    _, later = await booked(world, patient, "2027-02-09T18:20:00Z", "2027-02-09T22:00:00Z")
    chart = await board(world, patient, later["encounter"])
    assert shown(chart)[0] == moments("2027-02-09T22:00:00Z", "2027-02-09T18:20:00Z")


@pytest.mark.parametrize("encounter", ["unlinked", "none"])
async def test_an_encounter_that_names_no_visit_leaves_the_open_one_first(world: World, encounter: str) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    visits = await booked(world, patient, "2027-02-09T15:00:00Z", "2027-02-09T18:20:00Z", encounter=encounter)
    chart = await board(world, patient, visits[0]["encounter"])
    assert shown(chart)[0][0] == moments("2027-02-09T18:20:00Z")[0]
    assert len(chart.visits) == 2


@pytest.mark.parametrize("status", ["cancelled", "noshow", "entered-in-error"])
async def test_a_visit_that_does_not_take_place_is_not_shown(world: World, status: str) -> None:
    patient = await world.patient()
    gone, stands = await world.book(patient), await world.book(patient, starts_in=timedelta(minutes=20))
    chart = await board(world, patient, gone["encounter"])
    assert len(chart.visits) == 2
    first = chart.visits[0]
    await world.change(gone["id"], status=status)
    before = len(await world.meetings())
    answer = await chart.press(first, "join")
    assert answer.status_code in {404, 409}
    await chart.reload()
    assert len(chart.visits) == 1
    assert first not in chart.visits
    assert len(await world.meetings()) == before
    assert stands["id"] not in chart.page.text


@pytest.mark.parametrize("service", ["Office Visit", "Follow Up"])
async def test_a_visit_in_person_is_not_shown(world: World, service: str) -> None:
    patient = await world.patient()
    visit = await world.book(patient, service=service)
    chart = await board(world, patient, visit["encounter"])
    assert chart.visits == []
    assert "This patient has no video visit today." in chart.page.text


async def test_a_visit_that_is_over_can_not_be_joined(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await board(world, patient, visit["encounter"])
    world.clock.ahead = timedelta(hours=3)
    await world.change(visit["id"], status="fulfilled")
    answer = await chart.press(chart.visits[0], "join")
    assert (answer.status_code, HEADING.findall(answer.text)) == (409, ["This visit is over"])


async def test_a_visit_of_this_afternoon_can_be_joined_by_the_clinician_before_it_is_open(world: World) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 15, 0, tzinfo=UTC)
    await booked(world, patient, "2027-02-09T20:00:00Z")
    chart = await board(world, patient)
    assert "Open now" not in chart.page.text
    assert (await chart.press(chart.visits[0], "join")).status_code == 303


async def test_the_patient_s_name_is_shown_when_the_ehr_does_not_show_it(world: World) -> None:
    patient = await world.patient(given="Rosa", family="Bannerworth")
    visit = await world.book(patient)
    chart = await board(world, patient, visit["encounter"], needPatientBanner=True)
    assert re.search(r'<p class="banner">[^<]*Bannerworth', chart.page.text)


async def test_the_patient_s_name_is_not_even_read_when_the_ehr_shows_it(world: World) -> None:
    patient = await world.patient(given="Rosa", family="Bannerworth")
    visit = await world.book(patient)
    chart = await board(world, patient, visit["encounter"])
    assert "Bannerworth" not in chart.page.text
    requests = (await world.control(world.cerner, "GET", "requests"))["requests"]
    assert not [one for one in requests if f"/Patient/{patient}" in one["path"]]


# -- Guests


def links(chart: Chart) -> list[str]:
    """Return the links on the board: the patient's, then those of guests."""
    return [html.unescape(one) for one in LINK.findall(chart.page.text)]


async def test_links_of_guests_and_interpreters_are_made_listed_and_revoked(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await board(world, patient, visit["encounter"])
    (name,) = chart.visits
    for role in ("guest", "interpreter", "guest"):
        answer = await chart.press(name, "invitations", role=role)
        assert answer.status_code == 303
    await chart.reload()
    labels = re.findall(r"<label [^>]*>([^<]+)<", html.unescape(chart.page.text))
    assert labels == ["Patient's link", "Guest's link", "Interpreter's link", "Guest's link"]
    patients, first, interpreter, second = links(chart)
    assert len({patients, first, interpreter, second}) == 4
    for link in (first, interpreter, second):
        assert (await world.browser().open(link)).status_code == 200
    assert (await chart.press(name, "revocations", number="1")).status_code == 303
    await chart.reload()
    assert links(chart) == [patients, interpreter, second]
    for method in ("open", "submit"):
        guest = world.browser()
        page = await guest.open(first) if method == "open" else await guest.submit(f"{first}/join", follow=False)
        assert page.status_code in {409, 410}
        assert "This link is no longer valid" in page.text
        assert "Location" not in page.headers
    for link in (interpreter, second, patients):
        assert (await world.browser().open(link)).status_code == 200


async def test_a_link_that_was_revoked_stays_so_when_another_is_made(world: World) -> None:
    patient = await world.patient()
    chart = await board(world, patient, (await world.book(patient))["encounter"])
    (name,) = chart.visits
    await chart.press(name, "invitations", role="guest")
    await chart.reload()
    revoked = links(chart)[1]
    await chart.press(name, "revocations", number="1")
    await chart.press(name, "invitations", role="guest")
    await chart.reload()
    assert revoked not in links(chart)
    assert (await world.browser().open(revoked)).status_code == 410
    assert (await world.browser().open(links(chart)[1])).status_code == 200


@pytest.mark.parametrize("number", ["0", "7", "-1", "99999999999999999999"])
async def test_to_revoke_a_link_that_there_is_not_changes_nothing(world: World, number: str) -> None:
    patient = await world.patient()
    chart = await board(world, patient, (await world.book(patient))["encounter"])
    await chart.press(chart.visits[0], "invitations", role="guest")
    answer = await chart.press(chart.visits[0], "revocations", number=number)
    assert answer.status_code in {303, 400, 422}
    await chart.reload()
    assert len(links(chart)) == 2


# -- Meetings


async def ours(world: World, before: Sequence[Document]) -> list[Document]:
    """Return the meetings that are new."""
    known = {one["id"] for one in before}
    return [one for one in await world.meetings() if one["id"] not in known]


async def test_joining_makes_the_clinician_a_co_organizer_who_can_admit(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient)
    before = await world.meetings()
    chart = await board(world, patient, visit["encounter"])
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
        chart = await board(world, patient, visit["encounter"], user=user, **clinician_of(world))
        assert (await chart.press(chart.visits[0], "join")).status_code == 303
    (meeting,) = await ours(world, before)
    assert {one["identity"]["user"]["id"] for one in meeting["attendees"]} == {CLINICIAN, BEN}
    assert {one["role"] for one in meeting["attendees"]} == {"coorganizer"}


async def test_the_meeting_restricts_no_feature_of_teams(world: World) -> None:
    patient = await world.patient()
    before = await world.meetings()
    chart = await board(world, patient, (await world.book(patient))["encounter"])
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
    chart = await board(world, patient, visit["encounter"])
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
    chart = await board(world, patient, (await world.book(patient))["encounter"])
    await chart.press(chart.visits[0], "consult")
    assert "Link not sent" in (await chart.reload()).text


async def test_pressing_join_twice_opens_the_same_meeting(world: World) -> None:
    patient = await world.patient()
    before = await world.meetings()
    chart = await board(world, patient, (await world.book(patient))["encounter"])
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
    chart = await board(world, patient, (await world.book(patient))["encounter"])
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
    chart = await board(world, patient, (await world.book(patient))["encounter"])
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
    chart = await board(world, patient, (await world.book(patient))["encounter"])
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
