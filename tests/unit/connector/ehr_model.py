"""One appointment of an EHR in memory, with the stand-in's own rules for changes, and what may go wrong on the way to it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from unit.connector.visiting import START, site

from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import PATIENT_ROOM, PROVIDER_ROOM
from ehr_connector.coming.endpoint import EndpointWork, Tools
from ehr_connector.coming.worker import LEASE
from ehr_connector.directory import Site
from ehr_connector.metrics import Metrics
from ehr_connector.store.events import Told
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Kind, VisitEvent
from ehr_connector.visits.links import Role
from ehr_sandbox.cerner.appointment_patch import patched
from ehr_sandbox.cerner.appointments import appointment_resource
from ehr_sandbox.cerner.errors import FhirError
from ehr_sandbox.cerner.people import Person
from ehr_sandbox.cerner.places import PLACES
from ehr_sandbox.cerner.schedule import Schedule
from ehr_sandbox.cerner.tokens import Grant

_Found = TypeVar("_Found")
TENANT = "5f3c2a10-0000-4000-8000-000000000001"
LOCATION = next(iter(PLACES))
LINKS = {Role.PATIENT: "https://visits.example/v/patient", Role.PROVIDER: "https://visits.example/v/provider"}
VISIT = "visit"
FAULTS = ("none", "cut", "lost answer", "500", "429", "401", "403", "424", "changed meanwhile", "edited")
_PERSON = Person("12", "Rosa", "Quillfeather", "female")
_STATUSES = {"500": 500, "429": 429, "401": 401, "403": 403, "424": 424}


def asking_site(**appointments: Any) -> Site:
    """An endpoint that asks for links and arrivals."""
    usual = {
        "locations": [LOCATION],
        "virtualVisitTypes": ["Video Visit"],
        "timeZone": "UTC",
        "writeBackLinks": True,
        "writeBackArrival": True,
    }
    return site(appointments=usual | appointments)


@dataclass
class Clock:
    """Time that passes when a test says so."""

    seconds: float = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return START - timedelta(minutes=20) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Seconds since something."""
        return self.seconds


@dataclass
class ModelEhr:
    """The EHR; it is also what the worker calls it through."""

    clock: Clock
    faults: deque[str] = field(default_factory=deque[str])
    """What befalls the next requests; nothing when it is empty."""
    faults_of_changes: deque[str] = field(default_factory=deque[str])
    """What befalls the next changes besides, whatever is read between them."""
    changes: list[bytes] = field(default_factory=list[bytes])
    """The body of each change that was sent."""
    befell: list[str] = field(default_factory=list[str])
    """What befell each of them."""
    exchanges_rooms: bool = False
    """Whether it shows each link in the room of the other."""
    requests: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """Method and status of each, 0 for none."""
    shown_to_patients: set[str] = field(default_factory=set[str])
    """Every link that ever stood in the patient's room."""
    statuses: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        """Book the appointment."""
        self.schedule = Schedule({}, self.clock.now)
        booked = self.schedule.book(
            TENANT,
            "control",
            status="booked",
            service="Video Visit",
            requested=(START, START + timedelta(minutes=30)),
            patient_id="12",
            practitioner_id="4122600",
            location_id=LOCATION,
        )
        self.id = booked.id
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    @property
    def appointment(self) -> Any:
        """The appointment as it is."""
        return self.schedule.get(TENANT, self.id)

    def change(self, **fields: Any) -> None:
        """Somebody in the clinic changes the appointment."""
        self.schedule.change(TENANT, self.id, "control", **fields)

    async def call(self, site: Site, ask: Callable[[Fhir], Awaitable[_Found]], /) -> _Found:
        """Ask, with a token."""
        return await ask(Fhir(self.http, site.endpoint.base_url, "token"))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        faults = self.faults
        if request.method == "PATCH":
            self.changes.append(request.content)
            faults = self.faults_of_changes or faults
        fault = faults.popleft() if faults else "none"
        if request.method == "PATCH":
            self.befell.append(fault)
        if fault == "cut":
            self.requests.append((request.method, 0))
            raise httpx.ReadError("cut", request=request)
        if fault in _STATUSES:
            self.requests.append((request.method, _STATUSES[fault]))
            return _told(_STATUSES[fault])
        if fault == "changed meanwhile":
            self.change(requested=self.appointment.requested)
        if fault == "edited":
            self.schedule.locked.add((TENANT, self.id))
        answer = self._answer(request)
        self.schedule.locked.clear()
        self.requests.append((request.method, answer.status_code))
        standing = self.appointment
        self.statuses.append(standing.status)
        if standing.links is not None:
            self.shown_to_patients.add(standing.links.patient)
        if fault == "lost answer":
            raise httpx.RemoteProtocolError("lost", request=request)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            grant = Grant("lamna-system", TENANT, frozenset(), datetime.max.replace(tzinfo=UTC))
            try:
                patched(self.schedule, grant, self.id, request.headers, request.content)
            except FhirError as exc:
                return _told(exc.status)
            return _told(200)
        shown = appointment_resource(TENANT, self.appointment, _PERSON, _PERSON)
        if self.exchanges_rooms:
            names = (PATIENT_ROOM, PROVIDER_ROOM)
            text = json.dumps(shown).replace(names[0], "\f").replace(names[1], names[0]).replace("\f", names[1])
            shown = json.loads(text)
        if request.url.path.endswith(f"/Appointment/{self.id}"):
            return _told(200, shown)
        return _told(200, {"resourceType": "Bundle", "entry": [{"resource": shown}]})


def _told(status: int, body: Any = None) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(json.dumps(body or {}).encode()))


@dataclass
class Book:
    """Visits by name: there is one."""

    recorded: list[str] = field(default_factory=list[str])
    """The status of the appointment, each time that it was written down."""

    def name(self, _site: Site, _appointment_id: str, /) -> str:
        """Return its name."""
        return VISIT

    def row(self, found: Booking, /) -> VisitRow:
        """Return it as it would be written down."""
        digest = "sha256:" + "0" * 64
        return VisitRow(VISIT, "a", "b", "c", "Test", digest, "d", "patient", found.start, found.end)

    def link(self, _found: Booking, role: Role, /) -> str:
        """Return a link that tells whom it is for."""
        return LINKS[role]

    async def record(self, found: Booking, /) -> VisitRow:
        """Return what would be written down."""
        self.recorded.append(found.appointment.status)
        return self.row(found)


@dataclass
class Log:
    """What happened in the visit."""

    events: list[VisitEvent] = field(default_factory=list[VisitEvent])

    async def record(self, _visit: str, events: Iterable[VisitEvent], /) -> Sequence[VisitEvent]:
        """Add what is not there yet."""
        new = [event for event in events if event.key not in {one.key for one in self.events}]
        self.events += new
        return new

    async def of(self, _visit: str, /) -> Sequence[VisitEvent]:
        """Return all."""
        return self.events

    async def newest(self) -> int:
        """Return how many there are."""
        return len(self.events)

    async def since(self, number: int, /) -> Sequence[Told]:
        """Return the later ones."""
        return [Told(index, VISIT, event) for index, event in enumerate(self.events, 1) if index > number]

    def patient_waits(self, at: datetime) -> None:
        """The patient goes on to Teams, and comes into the lobby."""
        self.events.append(VisitEvent(f"joining {len(self.events)}", Kind.JOINING, at))
        self.events.append(VisitEvent(f"lobby {len(self.events)}", Kind.IN_LOBBY, at, participant="p"))


@dataclass
class Work:
    """An endpoint that is worked for, step by step."""

    clock: Clock
    ehr: ModelEhr
    log: Log
    endpoint: EndpointWork
    metrics: Metrics
    book: Book

    @classmethod
    def begun(cls, site: Site | None = None) -> Work:
        """Work whose lease is good for ever."""
        clock = Clock()
        ehr, log, metrics, book = ModelEhr(clock), Log(), Metrics(), Book()
        tools = Tools(ehr, book, log, metrics, clock.now, clock.monotonic, interval_s=45)
        work = cls(clock, ehr, log, EndpointWork(site or asking_site(), tools), metrics, book)
        work.endpoint.lease_ends_s = float("inf")
        return work

    async def step(self, seconds: float = 0) -> None:
        """Let time pass, and do what is due then."""
        self.clock.seconds += seconds
        await self.endpoint.attend()

    async def settle(self) -> None:
        """Read, and let the longest pause pass as often as it takes."""
        await self.endpoint.read()
        for _ in range(12):
            await self.step(65)

    def renew(self) -> None:
        """Take the lease for the usual time."""
        self.endpoint.lease_ends_s = self.clock.seconds + LEASE.total_seconds()
