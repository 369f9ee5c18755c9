"""The board: which visits it shows, in which order, and what its buttons do at Microsoft."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from contract.visits.acting import HEADING, Chart, signed_in
from contract.visits.world import Document, World

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
            "2027-02-10T02:05:00Z",  # 20:05 on the 9th
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


async def test_a_visit_that_goes_on_at_midnight_stays_on_the_board(world: World) -> None:
    patient = await world.patient()
    began, over, later = "2027-02-10T05:50:00Z", "2027-02-10T01:00:00Z", "2027-02-10T18:00:00Z"
    await booked(world, patient, began, over, later)
    world.clock.at = datetime(2027, 2, 10, 6, 5, tzinfo=UTC)  # 00:05 at the clinic
    chart = await board(world, patient)
    assert shown(chart) == (moments(began, later), [])
    assert (await chart.press(chart.visits[0], "join")).status_code == 303


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


@pytest.mark.parametrize(
    ("starts", "first", "open_now"),
    [
        (["2027-02-09T10:00:00Z", "2027-02-09T18:20:00Z"], 1, 1),
        (["2027-02-09T15:00:00Z", "2027-02-09T18:20:00Z"], 1, 2),
        (["2027-02-09T18:20:00Z", "2027-02-09T22:00:00Z"], 0, 1),
    ],
    ids=["it and one that is over", "it and one that was open before", "it and a later one"],
)
async def test_of_the_visits_that_are_open_the_nearest_stands_first(
    world: World, starts: list[str], first: int, open_now: int
) -> None:
    patient = await world.patient()
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    await booked(world, patient, *starts)
    chart = await board(world, patient)
    assert shown(chart)[0] == moments(starts[first], starts[1 - first])
    assert chart.page.text.count("Open now") == open_now


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
    world.clock.at = datetime(2027, 2, 9, 18, 0, tzinfo=UTC)
    [visit] = await booked(world, patient, "2027-02-09T18:10:00Z")
    chart = await board(world, patient, visit["encounter"])
    world.clock.at += timedelta(hours=3)
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
    patient = await world.patient(given="Rosa", family="Bannerworth", birthDate="1957-03-02")
    visit = await world.book(patient)
    chart = await board(world, patient, visit["encounter"], needPatientBanner=True)
    assert re.search(r'<p class="banner">[^<]*Bannerworth[^<]*born March 2, 1957', chart.page.text)


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


async def test_the_board_stays_in_the_language_that_was_chosen_after_a_button(world: World) -> None:
    patient = await world.patient()
    chart = await board(world, patient, (await world.book(patient))["encounter"])
    path = f"{chart.action(chart.visits[0], 'invitations')}?lang=es"
    answer = await chart.browser.submit(path, follow=False, role="guest", csrf=chart.csrf)
    assert answer.headers["Location"].endswith("?notice=invited&lang=es")
