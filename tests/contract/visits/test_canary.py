"""Patients that can be recognised anywhere come to visits, which go well and badly; then everything is searched for them."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from contract.connector.postgresql import PostgreSql
from contract.notify.texting import BOOKED, messages, ready
from contract.visits.acting import tables
from contract.visits.clinic import Clinic, running_clinic
from contract.visits.test_clinician import ACTION, CSRF, sign_in
from contract.visits.test_whole_visit import until
from contract.visits.world import CLINICIAN, Browser, Document, World
from sqlalchemy import text

from ehr_connector.metrics import Metrics
from ehr_connector.reports.ports import AuditRow, ConsumptionRow, Filters, MessageRow, Reader, ReportRole
from ehr_connector.reports.queries import Queries
from ehr_connector.reports.web.downloads import json_of
from ehr_connector.store.database import open_database
from ehr_connector.store.schema import metadata
from ehr_connector.store.visits import VisitRow, Visits
from ehr_program.logs import log_as_json
from ehr_sandbox.local_ca import LocalCA

GIVEN, FAMILY = "Rosalindabelle", "Quillfeatherston"
BIRTH_DATE, PHONE, EMAIL, MRN = "1931-07-29", "+18165550173", "rosalindabelle@canary.example", "MRN7731904452"
READER_OF = ("lamna", "lamna")
READER = Reader(*READER_OF, frozenset(ReportRole))
PLANTED = "Zebedeelabrador-planted"
"""What the search must find in a log line, a row and a label, so that its silence about patients means something."""
PLACES = {"logs", "metrics", "files", "tables", "reports"}


@dataclass
class Hospital:
    """What is searched."""

    world: World
    logs: io.StringIO
    metrics: Metrics
    database_url: str
    folder: Path
    """Where the database keeps its files."""
    clinic: Clinic
    """The same with its message provider."""
    ids: set[str] = field(default_factory=set[str])
    """Ids of patients, appointments and encounters."""

    async def places(self) -> Mapping[str, list[bytes]]:
        """Everything that is kept or told, by where."""
        shown = await self.world.http.get(f"{self.world.connector}/metrics")
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {
            "logs": [self.logs.getvalue().encode()],
            "metrics": [shown.content],
            "files": [path.read_bytes() for path in files],
            "tables": [await self._dump()],
            "reports": await self._downloads(),
        }

    async def where(self, *canaries: str) -> set[str]:
        """The places that hold one of the canaries, however it is written; a number may not be part of another."""
        forms = {form for one in canaries for form in (one, quote(one, safe=""), one.encode().hex())}
        words = [re.escape(form.lower().encode()) for form in forms]
        bounded = [rb"(?<![0-9])" + word + rb"(?![0-9])" if word.isdigit() else word for word in words]
        pattern = re.compile(b"|".join(bounded))
        return {
            place
            for place, contents in (await self.places()).items()
            if any(pattern.search(content.lower()) for content in contents)
        }

    async def rows(self) -> list[ConsumptionRow]:
        """The rows of visits, as reports tell them."""
        engine = open_database(self.database_url)
        try:
            return [row async for row in Queries(engine).visits(READER, self._always())]
        finally:
            await engine.dispose()

    async def _downloads(self) -> list[bytes]:
        engine = open_database(self.database_url)
        queries, always = Queries(engine), self._always()
        try:
            return [
                *[piece async for piece in json_of(queries.visits(READER, always), ConsumptionRow)],
                *[piece async for piece in json_of(queries.messages(READER, always), MessageRow)],
                *[piece async for piece in json_of(queries.audit(READER, always.start, always.end), AuditRow)],
            ]
        finally:
            await engine.dispose()

    def _always(self) -> Filters:
        now = self.world.clock()
        return Filters(now - timedelta(days=30), now + timedelta(days=30))

    async def _dump(self) -> bytes:
        engine = open_database(self.database_url)
        try:
            async with engine.connect() as connection:
                tables = [await connection.execute(table.select()) for table in metadata.sorted_tables]
                return "\n".join(str(tuple(row)) for table in tables for row in table).encode()
        finally:
            await engine.dispose()


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """All that the program would log at DEBUG; what the stand-ins say of themselves is not the program's."""
    root, manager = logging.getLogger(), logging.Logger.manager
    handlers, level = root.handlers[:], root.level
    levels = {name: one.level for name, one in manager.loggerDict.items() if isinstance(one, logging.Logger)}
    root.handlers = []
    log_as_json("DEBUG")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.addFilter(lambda record: not record.name.startswith("ehr_sandbox"))
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    for name, one in manager.loggerDict.items():
        if isinstance(one, logging.Logger):
            one.setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture(params=["sqlite", "postgresql"])
async def hospital(
    request: pytest.FixtureRequest, tmp_path: Path, ca: LocalCA, logs: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Hospital]:
    metrics = Metrics()
    monkeypatch.setattr("ehr_connector.app.Metrics", lambda: metrics)
    if request.param == "sqlite":
        folder = tmp_path / "database"
        folder.mkdir()
        url = f"sqlite+aiosqlite:///{folder / 'connector.sqlite3'}"
        async with running_clinic(tmp_path, ca, url) as clinic:
            yield Hospital(clinic.world, logs, metrics, url, folder, clinic)
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    with server.database() as url:
        async with running_clinic(tmp_path, ca, url) as clinic:
            yield Hospital(clinic.world, logs, metrics, url, server._server.pgdata, clinic)


async def test_no_patient_is_found_anywhere_after_visits_that_go_well_and_badly(hospital: Hospital) -> None:
    world = hospital.world
    await _plant(hospital)
    await ready(hospital.clinic)
    hospital.clinic.allow(PHONE)
    patient = await world.patient(
        given=GIVEN, family=FAMILY, birthDate=BIRTH_DATE, phone=PHONE, email=EMAIL, identifiers=[{"value": MRN}]
    )
    visit = await world.book(patient)
    later = await world.book(patient, starts_in=timedelta(hours=3))
    for canary in (GIVEN, FAMILY, BIRTH_DATE, PHONE, EMAIL, MRN):
        assert (await world.control(world.cerner, "GET", "search", params={"text": canary}))["found"], canary
    hospital.ids = {patient, visit["id"], visit["encounter"], later["id"], later["encounter"]}

    board, frame = await _visit_that_goes_well(hospital, patient, visit)
    await _visits_that_go_badly(hospital, patient, visit, later, board, frame)

    await until(lambda: _both_confirmed(hospital), seconds=60)
    await world.fault(hospital.clinic.acs, "/sms", action="lose_answer")
    await world.change(later["id"], status="cancelled")
    await until(lambda: _perhaps_sent(hospital))
    await until(lambda: _reported(hospital))

    if not hospital.database_url.startswith("sqlite"):
        engine = open_database(hospital.database_url)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("CHECKPOINT"))
        await engine.dispose()
    assert await hospital.where(PLANTED) == PLACES
    assert await hospital.where("Clinic 4") - {"files"} == {"tables"}
    assert await hospital.where("clinic-4") - {"files"} == {"tables", "reports"}
    assert await hospital.where(GIVEN, FAMILY, BIRTH_DATE, PHONE, PHONE[2:], EMAIL, MRN) == set()
    assert await hospital.where(*hospital.ids) == set()


async def _plant(hospital: Hospital) -> None:
    logging.getLogger("ehr_connector.planted").debug("a line with %s", PLANTED)
    hospital.metrics.launches.labels(PLANTED, "completed").inc()
    engine = open_database(hospital.database_url)
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO rate (bucket, window_ends_at, used) VALUES (:planted, '2099-01-01 00:00:00', 1)"),
            {"planted": PLANTED},
        )
    now = hospital.world.clock()
    made_up = VisitRow("v" * 43, *READER_OF, "c", "Test", "sha256:0", PLANTED, "patient", now, now + timedelta(hours=1))
    await Visits(engine, hospital.world.clock).put(made_up)
    await engine.dispose()


async def _both_confirmed(hospital: Hospital) -> bool:
    """Whether both bookings were texted; on a slow machine the moves are told besides."""
    return sum(BOOKED in one for one in await messages(hospital.clinic, PHONE)) >= 2


async def _perhaps_sent(hospital: Hospital) -> bool:
    """Whether a message is written down whose answer was lost."""
    sends = (await tables(hospital.world))["send"]
    return any(row["state"] == "claimed" and row["sender"] is not None for row in sends)


async def _reported(hospital: Hospital) -> bool:
    """Whether the made-up visit and the one that went well are in the reports."""
    rows = await hospital.rows()
    return PLANTED in {row.department for row in rows} and any(row.started_at for row in rows)


async def _visit_that_goes_well(hospital: Hospital, patient: str, visit: Document) -> tuple[str, Browser]:
    world = hospital.world
    links = await until(lambda: _links(world, visit["id"]))
    frame = world.browser()
    launch = await world.launch(patient, visit["encounter"], needPatientBanner=True)
    page = await frame.launch(launch, record="lamna/lamna-test-provider")
    await sign_in(world, page)
    board = await frame.open(str(page.url))
    assert FAMILY in board.text, "the board names the patient, so that there is something to leak"
    phone = world.browser()
    assert (await phone.open(links["patient"])).status_code == 200
    await phone.submit(links["patient"] + "/opened")
    assert (await phone.submit(links["patient"] + "/join", follow=False)).status_code == 303
    csrf = CSRF.findall(board.text)[0]
    for action in ACTION.findall(board.text):
        for extra in ({"role": "guest"}, {"number": "1"}):
            await frame.submit(world.connector + action, follow=False, csrf=csrf, **extra)
    meeting = (await world.meetings())[0]
    await until(lambda: world.control(world.graph, "GET", "subscriptions"))
    path = f"meetings/{meeting['id']}/participants"
    waiting = await world.control(world.graph, "POST", path, json={"displayName": f"{GIVEN} {FAMILY}"})
    await until(lambda: _arrived(world, visit["id"]))
    await world.control(world.graph, "POST", path, json={"displayName": "Ada Okafor", "userId": CLINICIAN})
    await world.control(world.graph, "POST", f"{path}/{waiting['id']}/admit")
    await world.control(world.graph, "POST", f"{path}/{waiting['id']}/leave")
    return str(page.url), frame


async def _visits_that_go_badly(
    hospital: Hospital, patient: str, visit: Document, later: Document, board: str, frame: Browser
) -> None:
    world = hospital.world
    link = (await until(lambda: _links(world, later["id"])))["patient"]
    browser = world.browser()
    await world.change(later["id"], locked=True, start=visit_start_in(world, hours=4))
    await world.change(visit["id"], failDependency=True)
    for status in (500, 403, 404):
        await world.fault(world.cerner, "/Appointment", action="status", status=status)
        await browser.open(link + "?patient=" + FAMILY)
        await browser.submit(link + "/join", follow=False)
        await frame.open(board)
    await world.fault(world.cerner, "/Appointment", action="lose_answer", method="PATCH")
    await world.change(later["id"], locked=False, start=visit_start_in(world, hours=5))
    await world.fault(world.cerner, "/Patient", action="half_answer")
    await frame.open(board)
    await world.fault(world.cerner, "/token", action="cut")
    await browser.launch(await world.launch(patient, visit["encounter"]))
    await world.control(world.cerner, "DELETE", "faults")
    await world.fault(world.graph, "onlineMeetings", action="status", status=403)
    await frame.open(board)
    await browser.launch("no-such-launch", iss=world.base_url() + f"/Patient/{patient}")
    await browser.open(f"{world.connector}/launch/callback?state={FAMILY}&code={patient}&error_description={GIVEN}")
    await browser.open(f"{world.connector}/v/{FAMILY}")
    await browser.open(f"{world.connector}/clinician/{patient}/{EMAIL}")
    await world.http.post(f"{world.connector}/graph/notifications", content=f'{{"value": "{FAMILY}"}}')
    await world.change(visit["id"], status="cancelled")
    await browser.open(link)


def visit_start_in(world: World, *, hours: int) -> str:
    """A time that is so many hours ahead."""
    return (world.clock() + timedelta(hours=hours)).replace(microsecond=0).isoformat()


async def _links(world: World, appointment: str) -> Document | None:
    return (await world.in_ehr(appointment))["links"]


async def _arrived(world: World, appointment: str) -> bool:
    return (await world.in_ehr(appointment))["status"] == "arrived"
