"""A hospital that runs beside the test, and the windows of those who meet in it.

The stand-ins and the connector are those of `contract.visits.world`, in a thread with a loop of its own: Playwright's sync
interface keeps the test's. To the browser the EHR (127.0.0.1) and the connector (localhost) are two sites.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from contract.visits.world import CLINICIAN, TENANT, World, running_world
from playwright.sync_api import BrowserContext, Frame, FrameLocator, Page, expect
from starlette.types import ASGIApp

from ehr_sandbox.cerner.people import PRACTITIONER_IDS
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

APP = "Teams visit"
MIXED_UP = "Production's record in Test"
WITH_BANNER = "Teams visit with a banner"
_LIMIT_S = 60
_TELLS_OF_STORAGE = """
const telling = (owner, name) => {
  const real = owner[name];
  owner[name] = function (...given) {
    console.error(`a page keeps something by ${name}`);
    return real.apply(this, given);
  };
};
telling(Storage.prototype, "setItem");
telling(IDBFactory.prototype, "open");
if (window.CacheStorage) telling(CacheStorage.prototype, "open");
"""
_Result = TypeVar("_Result")


@dataclass
class Visit:
    """A booked visit with the links that the connector wrote into it."""

    id: str
    provider_link: str
    patient_link: str


class Hospital:
    """Does what happens outside the browsers."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        self.world = world
        self._loop = loop
        self._stop = stop

    def do(self, happens: Coroutine[Any, Any, _Result]) -> _Result:
        """Let something happen in the hospital, and return what came of it."""
        return asyncio.run_coroutine_threadsafe(happens, self._loop).result(_LIMIT_S)

    def book(self, given: str = "Rosa", family: str = "Quillfeather", **booking: Any) -> Visit:
        """Book a visit for a new patient, and wait until the EHR has its links."""
        return self.do(self._booked(given, family, booking))

    def in_ehr(self, visit: Visit) -> Any:
        """Return the appointment as the EHR has it."""
        return self.do(self.world.in_ehr(visit.id))

    def joins(self) -> tuple[int, int]:
        """Return how many launches by clinicians and joins of patients are evidence."""
        profiles = self.do(self.world.evidence())["profiles"]
        return sum(one["providerLaunches"] for one in profiles), sum(one["patientJoins"] for one in profiles)

    def serve(self, app: ASGIApp) -> str:
        """Serve something more, by its name `localhost` as the connector; it ends with the hospital."""
        address = self.do(self.world.stack.enter_async_context(serve(app, **self.world.tls)))
        return address.replace("127.0.0.1", "localhost")

    def close(self) -> None:
        """Let the loop's thread end."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def _booked(self, given: str, family: str, booking: dict[str, Any]) -> Visit:
        world = self.world
        patient = await world.patient(given=given, family=family)
        made = await world.book(patient, **booking)
        async with asyncio.timeout(_LIMIT_S):
            while not (links := (await world.in_ehr(made["id"]))["links"]):  # noqa: ASYNC110 (the EHR tells nobody)
                await asyncio.sleep(0.1)
        return Visit(made["id"], links["provider"], links["patient"])


@contextmanager
def running_hospital(work: Path, ca: LocalCA) -> Iterator[Hospital]:
    """Run a hospital for the time of the block, whose EHR offers the app by its integration record."""
    ready: Future[Hospital] = Future()
    ended: Future[None] = Future()

    async def run() -> None:
        database = f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}"
        async with running_world(work, ca, database) as world:
            await world.control(world.cerner, "PUT", "powerchart", json=_offers(world))
            stop = asyncio.Event()
            ready.set_result(Hospital(world, asyncio.get_running_loop(), stop))
            await stop.wait()

    def main() -> None:
        try:
            asyncio.run(run())
            ended.set_result(None)
        except BaseException as exc:  # noqa: BLE001 (it is raised in the test's thread)
            (ended if ready.done() else ready).set_exception(exc)

    threading.Thread(target=main, name="hospital", daemon=True).start()
    hospital = ready.result(_LIMIT_S)
    try:
        yield hospital
    finally:
        hospital.close()
        ended.result(_LIMIT_S)


def _offers(world: World) -> list[dict[str, Any]]:
    launch_url = f"{world.connector}/launch/provider"
    record = {"record": "lamna/lamna-test-provider"}
    return [
        {"name": APP, "tenant": TENANT, "launchUrl": launch_url, "parameters": record},
        {
            "name": WITH_BANNER,
            "tenant": TENANT,
            "launchUrl": launch_url,
            "parameters": record,
            "needPatientBanner": True,
        },
        {
            "name": MIXED_UP,
            "tenant": TENANT,
            "launchUrl": launch_url,
            "parameters": {"record": "lamna/lamna-production-provider"},
        },
    ]


@dataclass
class Chart:
    """A patient's chart in the EHR, with the connector's page in its frame."""

    hospital: Hospital
    page: Page
    practitioner: str = PRACTITIONER_IDS[0]

    @property
    def frame(self) -> FrameLocator:
        """The connector's page, to look at."""
        return self.page.frame_locator("iframe[name=mpage]")

    @property
    def document(self) -> Frame:
        """The connector's page, to run something in."""
        found = self.page.frame(name="mpage")
        assert found is not None
        return found

    def open(self, visit: Visit, app: str = APP) -> Chart:
        """Open the chart of a visit's patient: a launch."""
        chart = f"{self.hospital.world.cerner}/powerchart/{TENANT}/{self.practitioner}/{visit.id}"
        self.page.goto(f"{chart}?{urlencode({'app': app})}")
        return self

    def shows(self, heading: str) -> None:
        """Wait for a page in the frame."""
        expect(self.frame.get_by_role("heading", name=heading, level=1)).to_be_visible()

    def status(self, text: str) -> None:
        """Wait until the live status of the open visit is this; nothing is loaded again."""
        expect(self.frame.locator("[data-field=text]").first).to_have_text(text)

    def sign_in(self, user: str = CLINICIAN) -> None:
        """Sign in to Microsoft in a window of its own; the frame learns of it by its stream."""
        self.shows("Sign in to Microsoft once")
        with self.page.context.expect_page() as opening:
            self.frame.get_by_role("link", name="Sign in").click()
        window = opening.value
        window.locator(f"button[value='{user}']").click()
        window.get_by_role("button", name="Yes").click()
        expect(window.get_by_role("heading", name="You are signed in")).to_be_visible()
        window.close()
        self.shows("Video visits")

    def signed_in(self) -> Chart:
        """See the board, after the sign-in when this clinician has not done it yet."""
        heading = self.frame.get_by_role("heading", level=1)
        expect(heading).to_be_visible()
        if heading.inner_text() != "Video visits":
            self.sign_in()
        return self

    def press(self, button: str) -> Page:
        """Press a button of the open visit, and return the window that it opens."""
        with self.page.context.expect_page() as opening:
            self.frame.get_by_role("button", name=button).first.click()
        return opening.value

    def into_teams(self) -> Page:
        """Join, and return the meeting's window, where this clinician may admit."""
        teams = self.press("Join")
        teams.locator("#join-as-user").click()
        expect(teams.locator("#state[data-state=meeting]")).to_be_visible()
        return teams


def into_lobby(phone: Page, link: str, name: str) -> None:
    """Go by a patient's link through the page into the lobby."""
    phone.goto(link)
    phone.get_by_role("button", name="Join the visit").click()
    phone.locator("#name").fill(name)
    phone.locator("#join").click()
    expect(phone.locator("#state[data-state=lobby]")).to_be_visible()


def until(page: Page, look: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait until something is true that no page shows, while the browser goes on."""
    ends = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < ends, "it did not come true in time"
        page.wait_for_timeout(50)


@dataclass
class Watch:
    """What a window's pages ask for and complain of."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list[str])
    fetched: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Origin of the page and address, for what a page loads by itself."""
    visited: list[str] = field(default_factory=list[str])
    """Addresses of pages."""
    kept: list[str] = field(default_factory=list[str])
    """Addresses whose answers a browser may keep."""

    def __post_init__(self) -> None:
        self.context.add_init_script(_TELLS_OF_STORAGE)
        self.context.on("console", lambda message: self._said(message.type, message.text))
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("request", self._asked)
        self.context.on("response", self._answered)

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def _asked(self, request: Any) -> None:
        if request.is_navigation_request():
            self.visited.append(request.url)
        else:
            self.fetched.append((origin(request.frame.url), request.url))

    def _answered(self, response: Any) -> None:
        if response.headers.get("cache-control") != "no-store":
            self.kept.append(response.url)


def origin(url: str) -> str:
    """Return the origin of an address."""
    return "/".join(url.split("/")[:3])
