"""One endpoint's messages without a network: a database, a clock, an EHR of a few facts, and the stand-in of the provider.

What may break breaks where a test says so. A worker that is killed leaves what it wrote, and the next one knows nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.api.full_documents import ORGANIZATION_CONFIGURATION
from unit.connector.visiting import appointment

from ehr_api.control import OrganizationConfiguration
from ehr_clients.acs_email import Email
from ehr_clients.acs_sms import Sms
from ehr_clients.errors import TemporaryError
from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import Patient
from ehr_clients.http import client
from ehr_connector.directory import Site
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.planner.pace import Pacer
from ehr_connector.notify.planner.planned import PlannedSender
from ehr_connector.notify.planner.tools import NoticeTools
from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.notify.post import Post
from ehr_connector.notify.provider import Providers
from ehr_connector.store.notices import Notices
from ehr_connector.store.sends import Claim, Message, Sends
from ehr_connector.visits.booking import Booking, booking
from ehr_connector.visits.events import Channel
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import VisitService
from ehr_sandbox.acs.app import create_app
from ehr_sandbox.acs.settings import AcsSettings, Behaviour

_Found = TypeVar("_Found")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOON = datetime(2026, 11, 17, 18, tzinfo=UTC)
SENDER, OTHER_SENDER = "+18005550100", "+18005550101"
STEPS = (
    "before the claim",
    "after the claim",
    "after the patient was read",
    "before the address",
    "after the address",
    "before the call",
    "after the call",
    "before the end",
    "after the end",
)
"""Where a process may die."""
ASKED_STEPS = frozenset(STEPS[6:])
"""At these the provider has the message."""


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Clock:
    """Time that passes when a test says so."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at


@dataclass
class Trouble:
    """What befalls at each step; by default nothing."""

    at: Callable[[str], None] = lambda _step: None


class _Wire(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.ASGITransport, desk: Desk) -> None:
        self._inner = inner
        self._desk = desk

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._desk.trouble.at("before the call")
        fault = self._desk.faults.pop(0) if self._desk.faults else ""
        if fault == "cut":
            raise httpx.ConnectError("cut", request=request)
        status, _, retry_after = fault.partition(" ")
        if status.isdecimal():
            return _unread(int(status), b'{"error": {"code": "Refused", "message": "no"}}', retry_after)
        answer = await self._inner.handle_async_request(request)
        body = await answer.aread()
        self._desk.trouble.at("after the call")
        if fault == "lost answer":
            raise httpx.ReadError("lost", request=request)
        return _unread(answer.status_code, body)


class _Ehr(EhrAccess):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def call(self, site: Site, ask: Callable[[Fhir], Awaitable[_Found]]) -> _Found:
        """Ask an EHR that knows patients and nothing else."""
        if self._desk.ehr_is_away:
            raise TemporaryError("EHR", "read Patient", "away")
        async with httpx.AsyncClient(transport=httpx.MockTransport(self._patient)) as http:
            found = await ask(Fhir(http, site.endpoint.base_url, "token"))
        self._desk.patients_read += 1
        self._desk.trouble.at("after the patient was read")
        return found

    async def _patient(self, request: httpx.Request) -> httpx.Response:
        patient = Patient(id=request.url.path.rpartition("/")[2])
        if patient.id in self._desk.slow:
            self._desk.slow_reads.release()
            await self._desk.slow[patient.id].wait()
        phone = {"system": "phone", "value": phone_of(patient.id), "use": "mobile"}
        telecom = self._desk.telecom.get(patient.id, [phone])
        return _unread(200, json.dumps({"resourceType": "Patient", "id": patient.id, "telecom": telecom}).encode())


class _Service(VisitService):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def name(self, site: Site, appointment_id: str) -> str:
        """Return the name of a visit."""
        return self._desk.name(appointment_id)

    def link(self, found: Booking, role: Role, number: int = 0) -> str:
        """Return a link."""
        return f"https://visits.lamna.example/v/{found.appointment_id}{role}{number}"

    async def sent(self, found: Booking, channel: Channel) -> None:
        """Write nothing down."""


class _Providers(Providers):
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._client = http

    def serves(self, endpoint: str | None) -> bool:
        """Return whether there is an address."""
        return endpoint is not None

    def sms(self, endpoint: str) -> Sms:
        """Return the client of the stand-in."""
        return Sms(self._client, endpoint)

    def email(self, endpoint: str) -> Email:
        """Return the client of the stand-in."""
        return Email(self._client, endpoint)


class _Sends(Sends):
    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime], trouble: Trouble) -> None:
        super().__init__(engine, now)
        self._trouble = trouble

    async def claim(self, message: Message) -> Claim | None:
        self._trouble.at("before the claim")
        claim = await super().claim(message)
        self._trouble.at("after the claim")
        return claim

    async def address(
        self, claim: Claim, recipient: str, sender: str | None = None, channel: str | None = None
    ) -> bool:
        self._trouble.at("before the address")
        holds = await super().address(claim, recipient, sender, channel)
        self._trouble.at("after the address")
        return holds

    async def end(self, claim: Claim, *args: Any, **more: Any) -> None:
        self._trouble.at("before the end")
        await super().end(claim, *args, **more)
        self._trouble.at("after the end")


@dataclass
class Desk:
    """Everything that messages of one endpoint need."""

    engines: Sequence[AsyncEngine]
    secret: SecretKeys
    clock: Clock
    controls: httpx.AsyncClient
    """Of the stand-in."""
    site: Site
    provider: httpx.AsyncClient = field(init=False)
    """Calls it as the connector does."""
    trouble: Trouble = field(default_factory=Trouble)
    faults: list[str] = field(default_factory=list[str])
    """What befalls the next calls of the provider."""
    ehr_is_away: bool = False
    patients_read: int = 0
    slow: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    """Patients for whom the EHR answers when the event comes."""
    slow_reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Counts them as they are asked for."""
    telecom: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """How patients are reached who have more or other than a phone of Texas."""
    pacer: Pacer | None = None
    """By default nothing has a pace."""
    appointments: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def book(self, start: datetime, number: int = 0) -> str:
        """Book a visit, of a patient of its own, and return its id."""
        patient = str(number or len(self.appointments) + 1)
        self.appointments[patient] = {"id": patient, "status": "booked", "participant": _who(patient)}
        self.move(patient, start)
        return patient

    def move(self, visit: str, start: datetime) -> None:
        """Move a visit."""
        self.appointments[visit] |= {"start": start.isoformat(), "end": (start + HOUR / 2).isoformat()}

    def cancel(self, visit: str) -> None:
        """Cancel a visit."""
        self.appointments[visit] |= {"status": "cancelled"}

    def worker(
        self, engine: int = 0, trouble: Trouble | None = None, tools: NoticeTools | None = None
    ) -> EndpointNotices:
        """A process that works for the endpoint; it knows what is written down."""
        return EndpointNotices(self.site, tools or self.tools(engine, trouble))

    def tools(self, engine: int = 0, trouble: Trouble | None = None) -> NoticeTools:
        """What all endpoints of a process need."""
        sends = _Sends(self.engines[engine], self.clock, trouble or self.trouble)
        post = Post(
            ehr=_Ehr(self),
            service=_Service(self),
            sends=sends,
            providers=_Providers(self.provider),
            allow_lists=AllowLists(None),
            secret=self.secret,
            now=self.clock,
        )

        return NoticeTools(
            sender=PlannedSender(post, sends, Metrics(), self._spare),
            notices=Notices(self.engines[engine], self.clock),
            take=self._take,
            secret=self.secret,
            now=self.clock,
        )

    async def _take(self, sender: str, endpoint: str) -> None:
        if self.pacer is not None:
            await self.pacer.take(sender, endpoint)

    async def _spare(self, sender: str) -> timedelta | None:
        return None if self.pacer is None else await self.pacer.spare(sender)

    def read(self, worker: EndpointNotices, *, far: bool = False, only: Collection[str] | None = None) -> None:
        """Let a worker see what stands in the EHR, or only some of it: of the next two weeks, or of the two that follow."""
        standing = [fields for patient, fields in self.appointments.items() if only is None or patient in only]
        found = [booking(worker.site, appointment(**fields)) for fields in standing]
        ours = {self.name(one.appointment_id): one for one in found if one is not None}
        edge = self.clock() + 14 * DAY
        seen = {name: one for name, one in ours.items() if (one.start >= edge) is far}
        worker.read(seen, edge + 14 * DAY if far else edge, far=far)

    def name(self, visit: str) -> str:
        """Return the name of a visit."""
        return self.secret.name("visit", self.site.base_url, visit)

    async def work(self, worker: EndpointNotices) -> None:
        """Read once, and do all that is due now."""
        self.read(worker)
        await worker.settle()
        await drain(worker)

    async def pass_(self, worker: EndpointNotices, time: timedelta, *, every: timedelta = MINUTE) -> None:
        """Let time pass, and let a worker work in it."""
        until = self.clock.at + time
        while self.clock.at < until:
            self.clock.at += every
            await self.work(worker)

    async def texts(self) -> list[dict[str, Any]]:
        """Return the texts that the provider accepted."""
        return (await self.controls.get("/_sandbox/ledger")).json()["texts"]

    async def emails(self) -> list[dict[str, Any]]:
        """Return the e-mails that the provider accepted."""
        return (await self.controls.get("/_sandbox/ledger")).json()["emails"]

    async def by_phone(self) -> Counter[str]:
        """Return how many texts each phone got."""
        return Counter(text["to"] for text in await self.texts())


async def drain(worker: EndpointNotices, *, at_once: int = 1) -> None:
    """Do all that is due now, so much of it at once; what fails is left for later."""

    async def attend() -> None:
        for _ in range(10_000):
            if not await worker.attend():
                return

    await asyncio.gather(*(attend() for _ in range(at_once)))


def phone_of(visit: str) -> str:
    """Return the phone of a visit's patient."""
    return f"+1214555{int(visit):04}"


def killed_at(step: str, *, after: int = 0) -> Trouble:
    """A process that dies at a step, when it has come there so many times before; once."""
    left = [after]

    def at(here: str) -> None:
        if here == step:
            left[0] -= 1
            if left[0] == -1:
                raise KilledError

    return Trouble(at)


def away(calls: Callable[[], bool]) -> Trouble:
    """A database that is away as long as it says so."""

    def at(step: str) -> None:
        if calls() and not step.endswith(("call", "read")):
            raise OperationalError("statement", None, OSError("away"))

    return Trouble(at)


def site(**changes: Any) -> Site:
    """The endpoint that texts, with changes of the organisation's text messages."""
    document = deepcopy(ORGANIZATION_CONFIGURATION)
    endpoint = document["endpoints"][0] | {"senderNumber": changes.pop("sender", SENDER)}
    emails = document["emailNotifications"] | changes.pop("emails", {})
    quiet = {"start": "00:00", "end": "00:00"}
    confirmation = {"onBooking": True, "onChange": True, "onCancellation": True}
    wishes = {"quietHours": quiet, "confirmation": confirmation, "reminders": ["24h", "1h"], "templates": []}
    document |= {
        "communicationServices": {"endpoint": "https://acs"},
        "smsNotifications": document["smsNotifications"] | wishes | {"caps": {"perDay": 20, "perWeek": 100}} | changes,
        "emailNotifications": emails,
        "endpoints": [endpoint],
    }
    organization = OrganizationConfiguration.model_validate(document)
    return Site(organization, organization.endpoints[0])


@asynccontextmanager
async def running_desk(engines: Sequence[AsyncEngine], secret: SecretKeys) -> AsyncGenerator[Desk]:
    """A desk at which nothing was ever sent."""
    clock = Clock()
    behaviour = Behaviour(verified_at_once=True, delivery_seconds=0, texts_per_minute=100_000)
    app = create_app(AcsSettings(accept_any_bearer=True, behaviour=behaviour, now=clock))
    async with AsyncExitStack() as stack:
        transport = httpx.ASGITransport(app)
        controls = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="https://acs"))
        (await controls.post("/_sandbox/state", json={"own": [SENDER, OTHER_SENDER]})).raise_for_status()
        desk = Desk(engines, secret, clock, controls, site())
        desk.provider = await stack.enter_async_context(client(transport=_Wire(transport, desk)))
        desk.provider.headers["Authorization"] = "Bearer anything"
        yield desk


def _who(patient: str) -> list[dict[str, Any]]:
    return [{"actor": {"reference": f"Patient/{patient}"}}, {"actor": {"reference": "Location/21304876"}}]


def _unread(status: int, body: bytes, retry_after: str = "") -> httpx.Response:
    headers = {"Content-Type": "application/json"} | ({"Retry-After": retry_after} if retry_after else {})
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
