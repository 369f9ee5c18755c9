"""The worker: holds leases on endpoints, reads their coming visits, and brings the EHR's appointments up to date."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError

from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.fhir import Actor, Fhir
from ehr_clients.fhir_model import Appointment
from ehr_connector.coming.plan import LONGEST_LINK, Action, Desired, WriteLinks, plan
from ehr_connector.directory import Directory, Site
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.files import KeysError
from ehr_connector.metrics import Metrics
from ehr_connector.store.events import Events
from ehr_connector.store.leases import Leases
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.booking import Booking, booking
from ehr_connector.visits.events import Kind, VisitEvent, status_of
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import VisitService

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""The work of a process that died passes on within this time."""
_RENEW_S = 8.0
_LOOK_S = 0.5
_BEHIND = timedelta(hours=12)
_AHEAD = timedelta(days=14)
_IDS_A_SEARCH = 20
_AT_A_TIME = 8
_TRIES = 4
_BUSY_S = 5.0
"""When somebody edits the appointment, its endpoint is read again after this time."""
_FAILED_S = 2.0
_STALE = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
_BUSY = frozenset({HTTPStatus.LOCKED, HTTPStatus.FAILED_DEPENDENCY})


@dataclass(slots=True)
class _Held:
    """An endpoint that this process works for."""

    site: Site
    bookings: dict[str, Booking] = field(default_factory=dict[str, Booking], repr=False)
    """By the visit's name."""
    recorded: dict[str, VisitRow] = field(default_factory=dict[str, VisitRow])
    refused: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    """Versions of appointments that the EHR will not have changed: they are left until they change."""
    due_s: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ComingVisits:
    """One process's share of the endpoints."""

    def __init__(
        self,
        *,
        directory: Directory,
        ehr: EhrAccess,
        service: VisitService,
        events: Events,
        leases: Leases,
        metrics: Metrics,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        interval_s: float,
    ) -> None:
        self._directory = directory
        self._ehr = ehr
        self._service = service
        self._events = events
        self._leases = leases
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._interval_s = interval_s
        self._held: dict[str, _Held] = {}
        self._gate = asyncio.Semaphore(_AT_A_TIME)

    async def run(self) -> None:
        """Work until cancelled; then the leases are given back."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_leases(), name="keep leases")
                tasks.create_task(self._read(), name="read coming visits")
                tasks.create_task(self._follow(), name="follow events")
        finally:
            await self._leases.release()

    async def take_leases(self) -> None:
        """Take what is free, renew what is ours, and forget what is not any more."""
        wanted = {site.base_url: site for site in await self._directory.sites() if _has_work(site)}
        ours = await self._leases.take(sorted(wanted), LEASE) if wanted else set[str]()
        self._held = {url: self._held.get(url) or _Held(wanted[url]) for url in ours}
        for url, held in self._held.items():
            if held.site != wanted[url]:
                held.site, held.due_s = wanted[url], 0.0
        self._metrics.endpoints_worked_for.set(len(self._held))

    async def read_due(self) -> None:
        """Read the coming visits of each endpoint whose time has come, and write what they lack."""
        due = [held for held in self._held.values() if held.due_s <= self._monotonic()]
        await asyncio.gather(*(self._read_one(held) for held in due))
        self._metrics.coming_visits.set(sum(len(held.bookings) for held in self._held.values()))

    async def happened(self, visit: str) -> None:
        """Something happened in a visit: perhaps the EHR must be told."""
        for held in tuple(self._held.values()):
            if visit in held.bookings:
                async with held.lock:
                    await self._attend(held, visit)

    async def _keep_leases(self) -> None:
        while True:
            await _whatever(self.take_leases, "leases")
            await asyncio.sleep(_RENEW_S)

    async def _read(self) -> None:
        while True:
            await _whatever(self.read_due, "coming visits")
            await asyncio.sleep(_LOOK_S)

    async def _follow(self) -> None:
        number: int | None = None
        seen: set[int] = set()
        while True:
            try:
                if number is None:
                    number = await self._events.newest()
                told = await self._events.since(number)
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("the log of events cannot be read: %s", type(exc).__name__)
                await asyncio.sleep(_FAILED_S)
                continue
            here = {one.visit for one in told if one.number not in seen and one.event.kind is Kind.IN_LOBBY}
            for visit in here:
                await self.happened(visit)
            seen = {one.number for one in told}
            number = max(seen, default=number)
            await asyncio.sleep(_LOOK_S)

    async def _read_one(self, held: _Held) -> None:
        async with self._gate, held.lock:
            held.due_s = self._monotonic() + self._interval_s
            try:
                found = await self._coming(held.site)
            except (RemoteError, KeysError) as exc:
                _log.warning("coming visits of %s/%s are not read: %s", *_names(held.site), exc)
                self._metrics.appointment_reads.labels("failed").inc()
                return
            self._metrics.appointment_reads.labels("read").inc()
            held.bookings = {self._service.name(held.site, one.appointment_id): one for one in found}
            for known in (held.recorded, held.refused):
                for visit in [name for name in known if name not in held.bookings]:
                    del known[visit]
            for visit in held.bookings:
                await self._attend(held, visit)

    async def _coming(self, site: Site) -> list[Booking]:
        appointments = site.endpoint.appointments
        now = self._now()
        found: dict[str, Appointment] = {}
        actors: list[tuple[Actor, Sequence[str]]] = [
            ("location", appointments.locations),
            ("practitioner", appointments.practitioners),
        ]
        for actor, ids in actors:
            for first in range(0, len(ids), _IDS_A_SEARCH):
                some = ids[first : first + _IDS_A_SEARCH]
                page = await self._ehr.call(site, _search(actor, some, now - _BEHIND, now + _AHEAD))
                found |= {one.id: one for one in page}
        bookings = [booking(site, one) for one in found.values()]
        return [one for one in bookings if one is not None]

    async def _attend(self, held: _Held, visit: str) -> None:
        """Bring one appointment up to date; what cannot be done now is tried again at the next reading."""
        found = held.bookings[visit]
        row = self._service.row(found)
        if held.recorded.get(visit) != row:
            await self._service.record(found)
            held.recorded[visit] = row
        for _ in range(_TRIES):
            found = held.bookings[visit]
            if held.refused.get(visit, "") == found.appointment.version:
                return
            actions = await self._planned(found, visit)
            if not actions or not await self._write(held, visit, actions[0]):
                return

    async def _write(self, held: _Held, visit: str, action: Action) -> bool:
        """Write one thing; return whether the appointment was read again, so that one can look what is left to do."""
        found = held.bookings[visit]
        outcome = "written"
        try:
            try:
                await self._do(found, action)
                await self._done(visit, action)
            except RefusedError as exc:
                outcome = str(exc.status)
                if exc.status in _BUSY:
                    held.due_s = min(held.due_s, self._monotonic() + _BUSY_S)
                    return False
                if exc.status not in _STALE:
                    held.refused[visit] = found.appointment.version
                    _log.warning("an appointment of %s/%s cannot be changed: %s", *_names(held.site), exc)
                    return False
            held.bookings[visit] = await self._again(found)
        except (RemoteError, KeysError) as exc:
            # Perhaps it was done: the next reading tells.
            outcome = "unavailable" if outcome == "written" else outcome
            _log.warning("an appointment of %s/%s is not changed: %s", *_names(held.site), exc)
            return False
        finally:
            self._metrics.appointment_writes.labels(_what(action), outcome).inc()
        return True

    async def _planned(self, found: Booking, visit: str) -> list[Action]:
        desired = Desired(self._service.link(found, Role.PROVIDER), self._service.link(found, Role.PATIENT))
        if max(len(desired.provider), len(desired.patient)) > LONGEST_LINK:
            _log.error("a link is longer than the EHR takes: shorten connector.publicURL of %s/%s", *_names(found.site))
            return []
        now = self._now()
        status = status_of(await self._events.of(visit), now)
        return plan(found, desired, status, now)

    async def _do(self, found: Booking, action: Action) -> None:
        async def write(fhir: Fhir) -> None:
            if isinstance(action, WriteLinks):
                await fhir.write_links(
                    found.appointment,
                    provider=action.provider,
                    patient=action.patient,
                    start=action.start,
                    end=action.end,
                )
            else:
                await fhir.write_status(found.appointment, "arrived")

        await self._ehr.call(found.site, write)

    async def _done(self, visit: str, action: Action) -> None:
        if not isinstance(action, WriteLinks):
            event = VisitEvent(Kind.ARRIVED_WRITTEN, Kind.ARRIVED_WRITTEN, self._now())
            await self._events.record(visit, [event])

    async def _again(self, found: Booking) -> Booking:
        """Return the booking as the EHR has it now; one that is no visit any more stays as it was, until it is read."""
        appointment = await self._ehr.call(found.site, lambda fhir: fhir.appointment(found.appointment_id))
        return booking(found.site, appointment) or found


def _search(
    actor: Actor, ids: Sequence[str], start: datetime, end: datetime
) -> Callable[[Fhir], Awaitable[list[Appointment]]]:
    async def search(fhir: Fhir) -> list[Appointment]:
        return await fhir.appointments(actor, ids, start, end)

    return search


async def _whatever(work: Callable[[], Awaitable[None]], what: str) -> None:
    """Do some work; a database that is away for a while ends nothing."""
    try:
        await work()
    except (SQLAlchemyError, OSError) as exc:
        _log.warning("%s: the database does not answer (%s)", what, type(exc).__name__)
        await asyncio.sleep(_FAILED_S)


def _has_work(site: Site) -> bool:
    appointments = site.endpoint.appointments
    return site.endpoint.active and bool(appointments.write_back_links or appointments.write_back_arrival)


def _what(action: Action) -> str:
    return "links" if isinstance(action, WriteLinks) else "arrival"


def _names(site: Site) -> tuple[str, str]:
    return site.namespace, site.endpoint.name
