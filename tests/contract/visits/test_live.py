"""Live status: pushed to the page as it is now and with each change, whatever happens to the way in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio
from contract.visits.acting import LINK, Chart, listening, signed_in, until
from contract.visits.world import CLINICIAN, Document, World
from free_ports import free_port

from ehr_connector.app import create_app
from ehr_connector.serving import server
from ehr_connector.settings import Settings
from ehr_connector.visits.live import Live, Watch

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def world(clinic: World) -> AsyncGenerator[World]:
    """The hospital, undisturbed, and afterwards as it was."""
    await clinic.control(clinic.graph, "PATCH", "settings", json={"resend_after_s": [0.3]})
    yield clinic
    await clinic.undisturb()
    for setting in ("duplicate", "reorder", "delay_s", "drop"):
        await clinic.control(clinic.graph, "PATCH", "settings", json={setting: 0})


@pytest_asyncio.fixture(loop_scope="module")
async def chart(world: World) -> Chart:
    """The chart of a patient with one visit."""
    patient = await world.patient()
    visit = await world.book(patient)
    return await signed_in(world, patient, visit["encounter"])


class Meeting:
    """The visit's meeting as it goes on at Microsoft."""

    def __init__(self, world: World, id_: str) -> None:
        self._world = world
        self._path = f"meetings/{id_}"

    @classmethod
    async def of(cls, chart: Chart) -> Meeting:
        """Have the meeting, and wait until it is listened to."""
        world = chart.world
        answer = await chart.press(chart.visits[0], "join")
        (found,) = [one for one in await world.meetings() if one["joinWebUrl"] == answer.headers["Location"]]

        async def is_listened_to() -> bool:
            alive = await world.control(world.graph, "GET", "subscriptions")
            key = found["joinWebUrl"].partition("meeting_")[2].partition("%")[0]
            return any(key in unquote(one["resource"]) for one in alive)

        await until(is_listened_to)
        return cls(world, found["id"])

    async def comes(self, user: str | None = None) -> str:
        """Let somebody come, and return who."""
        body: Document = {"displayName": "Somebody"} | ({"userId": user} if user else {})
        return (await self._world.control(self._world.graph, "POST", f"{self._path}/participants", json=body))["id"]

    async def admit(self, who: str) -> None:
        """Let somebody in from the lobby."""
        await self._world.control(self._world.graph, "POST", f"{self._path}/participants/{who}/admit")

    async def leaves(self, who: str) -> None:
        """Let somebody go."""
        await self._world.control(self._world.graph, "POST", f"{self._path}/participants/{who}/leave")


async def test_the_page_gets_the_status_as_it_is_and_then_each_change(world: World, chart: Chart) -> None:
    phone = world.browser()
    link = LINK.findall(chart.page.text)[0]
    async with listening(chart.browser, chart.stream) as stream:
        event = await stream.next()
        assert event is not None
        assert (event[0], event[1]["stage"], event[1]["visit"]) == ("status", "not_sent", chart.visits[0])
        await chart.press(chart.visits[0], "copied")
        assert (await stream.stage("link_sent"))["sent"] == "Link sent copied"
        await phone.open(link)
        await phone.submit(f"{link}/opened")
        await stream.stage("opened")
        answer = await phone.http.post(f"{link}/device-test", json={"result": "no_camera"})
        assert answer.status_code == 204
        told = await stream.status(lambda status: status["device_test"] is not None)
        assert told["device_test"] == "Device test: no camera found"
        await phone.submit(f"{link}/join", follow=False)
        await stream.stage("joining")
        meeting = await Meeting.of(chart)
        patient = await meeting.comes()
        waiting = await stream.stage("in_lobby")
        assert waiting["alert"] is True
        assert waiting["since"] is not None
        await meeting.comes(CLINICIAN)
        await meeting.admit(patient)
        assert (await stream.stage("in_visit"))["alert"] is False
        await meeting.leaves(patient)
        await stream.stage("left")


async def test_to_look_at_a_link_is_no_visit_of_the_patient(world: World, chart: Chart) -> None:
    link = LINK.findall(chart.page.text)[0]
    scanner = world.browser()
    for _ in range(3):
        await scanner.open(link)
        await scanner.http.head(link)
    assert "Link not sent" in (await chart.reload()).text


@pytest.mark.parametrize(
    "settings",
    [{"duplicate": 50}, {"delay_s": 0.4}, {"duplicate": 50, "delay_s": 0.2}],
    ids=["twice", "late", "late and twice"],
)
async def test_notifications_that_come_late_or_twice_change_nothing(
    world: World, chart: Chart, settings: dict[str, Any]
) -> None:
    meeting = await Meeting.of(chart)
    await world.control(world.graph, "PATCH", "settings", json=settings)
    async with listening(chart.browser, chart.stream) as stream:
        patient = await meeting.comes()
        assert (await stream.stage("in_lobby"))["alert"] is True
        await meeting.admit(patient)
        await stream.stage("in_visit")
        await meeting.leaves(patient)
        await stream.stage("left")
    assert "Somebody left" in (await chart.reload()).text  # nobody came by the patient's link


async def test_notifications_out_of_order_end_in_the_same_status(world: World, chart: Chart) -> None:
    meeting = await Meeting.of(chart)
    await world.control(world.graph, "PATCH", "settings", json={"reorder": 4})
    async with listening(chart.browser, chart.stream) as stream:
        patient = await meeting.comes()
        await meeting.admit(patient)
        await meeting.leaves(patient)
        await world.control(world.graph, "POST", "notifications/release")
        await stream.stage("left")
    assert "Somebody left" in (await chart.reload()).text  # nobody came by the patient's link


async def test_who_comes_back_is_shown_again(chart: Chart) -> None:
    meeting = await Meeting.of(chart)
    async with listening(chart.browser, chart.stream) as stream:
        first = await meeting.comes()
        await meeting.comes(CLINICIAN)
        await stream.stage("in_lobby")
        await meeting.leaves(first)
        await stream.stage("left")
        second = await meeting.comes()
        await stream.stage("in_lobby")
        await meeting.admit(second)
        assert (await stream.stage("in_visit"))["alert"] is False


async def test_a_restart_loses_no_status(world: World, chart: Chart) -> None:
    meeting = await Meeting.of(chart)
    async with listening(chart.browser, chart.stream) as stream:
        patient = await meeting.comes()
        await stream.stage("in_lobby")
        await world.running.aclose()
        while await stream.next() is not None:
            pass
    await meeting.admit(patient)  # told while nobody is there; Microsoft tells it again
    await world.start()
    async with listening(chart.browser, chart.stream) as stream:
        await stream.stage("in_visit")
        await meeting.leaves(patient)
        await stream.stage("left")


@pytest.mark.parametrize("what", ["cancelled", "moved"])
async def test_a_visit_that_is_moved_or_cancelled_has_the_open_page_fetched_again(world: World, what: str) -> None:
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    change = {"start": later} if what == "moved" else {"status": "cancelled"}
    patient = await world.patient()
    visit = await world.book(patient)
    chart = await signed_in(world, patient, visit["encounter"])

    async def is_known() -> bool:
        return (await world.in_ehr(visit["id"]))["links"] is not None

    await until(is_known)
    async with listening(chart.browser, chart.stream) as stream:
        await stream.next()
        await world.change(visit["id"], **change)
        async with asyncio.timeout(30):
            while (event := await stream.next(seconds=30)) is not None and event[0] != "reload":
                pass
        assert event == ("reload", {})
        assert await stream.next() is None
    # Who listens again by the same address is told again, and by that of the new page is not.
    async with listening(chart.browser, chart.stream) as stream:
        assert [await stream.next(), await stream.next()][1] == ("reload", {})
    await chart.reload()
    async with listening(chart.browser, chart.stream) as stream:
        events = [await stream.next() for _ in chart.visits]
        assert [event[0] for event in events if event is not None] == ["status"] * len(chart.visits)
        with pytest.raises(TimeoutError):
            await stream.next(seconds=1)


async def test_a_visit_that_opens_has_the_open_page_fetched_again(world: World) -> None:
    patient = await world.patient()
    visit = await world.book(patient, starts_in=timedelta(minutes=40))
    chart = await signed_in(world, patient, visit["encounter"])
    assert "Open now" not in chart.page.text
    async with listening(chart.browser, chart.stream) as stream:
        await stream.next()
        world.clock.ahead = timedelta(minutes=11)
        await chart.press(chart.visits[0], "copied")
        while (event := await stream.next(seconds=20)) is not None and event[0] != "reload":
            pass
        assert event == ("reload", {})
    assert "Open now" in (await chart.reload()).text


async def test_a_stream_ends_with_the_page_s_hour(world: World, chart: Chart) -> None:
    async with listening(chart.browser, chart.stream) as stream:
        await stream.next()
        world.clock.ahead = timedelta(hours=1, seconds=1)
        await chart.press(chart.visits[0], "copied")
        while await stream.next() is not None:
            pass


async def test_a_stream_ends_with_its_session_and_has_the_page_say_so(world: World, chart: Chart) -> None:
    world.clock.ahead = timedelta(hours=3, minutes=30)
    async with listening(chart.browser, chart.stream) as stream:
        await stream.next()
        world.clock.ahead = timedelta(hours=4, seconds=1)
        assert await stream.next(seconds=20) == ("reload", {})
        assert await stream.next() is None
    async with listening(chart.browser, chart.stream) as stream:
        assert await stream.next() == ("reload", {})


async def test_a_server_that_stops_waits_for_no_stream(world: World, chart: Chart) -> None:
    port = free_port()
    app = create_app(Settings.model_validate(world.settings), now=world.clock)
    certificate, key = (str(world.tls[name]) for name in ("ssl_certfile", "ssl_keyfile"))
    stopping = server(app, host="127.0.0.1", port=port, certificate=certificate, key=key)
    serving = asyncio.create_task(stopping.serve())

    async def is_up() -> bool:
        return stopping.started

    await until(is_up)
    address = chart.stream.replace(chart.world.connector, f"https://localhost:{port}")
    async with listening(chart.browser, address) as first, listening(chart.browser, address) as second:
        await first.next()
        await second.next()
        stopping.should_exit = True
        async with asyncio.timeout(15):  # to wait for them would take twenty seconds
            await serving
        assert await first.next() is None


async def test_a_stream_whose_reader_is_gone_is_not_kept(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    watching: list[Watch] = []
    watch = Live.watch

    @contextmanager
    def counted(live: Live, visits: Iterable[str]) -> Generator[Watch]:
        with watch(live, visits) as one:
            watching.append(one)
            try:
                yield one
            finally:
                watching.remove(one)

    monkeypatch.setattr(Live, "watch", counted)
    async with AsyncExitStack() as readers:
        for _ in range(3):
            stream = await readers.enter_async_context(listening(chart.browser, chart.stream))
            await stream.next()
        assert len(watching) == 3

    async def are_gone() -> bool:
        return not watching

    await until(are_gone, seconds=5)
    assert watching == []
