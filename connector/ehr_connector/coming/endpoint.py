"""One endpoint's coming visits: read into memory on an interval, and each brought up to date in the EHR.

Reading and writing go on side by side, so that a patient's arrival does not wait for a long list to be read. Two processes
that write at once cannot do harm (`If-Match`), and do not: nothing is sent unless the lease outlives the longest answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError

from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import PATIENT_ROOM
from ehr_clients.limits import ANSWER_TIMEOUT_S
from ehr_connector.coming.far import FarVisits
from ehr_connector.coming.plan import LONGEST_LINK, Action, Desired, WriteArrived, WriteLinks, plan
from ehr_connector.coming.ports import Ehr, EndpointMessages, EventLog, VisitBook
from ehr_connector.coming.queue import Wanted, WantedVisits
from ehr_connector.coming.reading import visits_between
from ehr_connector.directory import Site
from ehr_connector.keys.files import KeysError
from ehr_connector.metrics import Metrics
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.booking import Booking, booking
from ehr_connector.visits.events import Kind, Status, VisitEvent, status_of
from ehr_connector.visits.links import Role
from ehr_connector.waking import awakened

_log = logging.getLogger(__name__)

_BEHIND = timedelta(hours=12)
_AHEAD = timedelta(days=14)
_NEAR = timedelta(days=1)
"""Nobody is in the lobby of a visit that is further away."""
_READING_MAX_S = 120.0
"""A list that takes longer is given up, and read anew at the next interval."""
_READINGS = 8
_CHANGES = 32
_AT_A_TIME = 4
"""Appointments of one endpoint that are attended to at once: no rate limit is published, so little is asked."""
_TRIES = 4
_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 30.0
_BREATH = 100
"""After so many appointments others get their turn in this process."""
_STALE = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
_BUSY = frozenset({HTTPStatus.LOCKED, HTTPStatus.FAILED_DEPENDENCY})
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_OF_THE_ENDPOINT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""The EHR refuses us, not this change: once it is mended there, the same change is welcome."""

_NOTHING: tuple[str | None, frozenset[type[Action]]] = (None, frozenset())


class Gates:
    """How much a process does at once; endpoints that failed last wait for each other and not for the sound ones."""

    def __init__(self) -> None:
        self._reading = (asyncio.Semaphore(_READINGS), asyncio.Semaphore(_READINGS // 2))
        self._changing = (asyncio.Semaphore(_CHANGES), asyncio.Semaphore(_CHANGES // 2))

    def reading(self, *, doubtful: bool) -> AbstractAsyncContextManager[None]:
        """Hold a place among the readings."""
        return self._reading[doubtful]

    def changing(self, *, doubtful: bool) -> AbstractAsyncContextManager[None]:
        """Hold a place among those who look at an appointment."""
        return self._changing[doubtful]


@dataclass(frozen=True, slots=True)
class Tools:
    """What every endpoint's work needs."""

    ehr: Ehr
    service: VisitBook
    events: EventLog
    metrics: Metrics
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    interval_s: float
    gates: Gates = field(default_factory=Gates)
    notices: Callable[[Site], EndpointMessages] | None = None
    """Gives the messages of an endpoint; without it none are sent."""


class LeaseEndsError(Exception):
    """The lease on the endpoint may end before the answer comes."""


class EndpointWork:
    """The work for one endpoint."""

    def __init__(self, site: Site, tools: Tools) -> None:
        self.site = site
        self.lease_ends_s = 0.0
        """Until when the lease is ours, for certain."""
        self._tools = tools
        self._bookings: dict[str, Booking] = {}
        self._looked_s: dict[str, float] = {}
        """When visits were looked at by themselves."""
        self._recorded: dict[str, tuple[VisitRow, bool]] = {}
        """What was written down of visits, and whether it was that they are cancelled."""
        self._refused: dict[str, tuple[str | None, frozenset[type[Action]]]] = {}
        """Versions of appointments with the changes that the EHR will not have: they are left until they change."""
        self._arrival_sent: set[str] = set()
        """Visits whose arrival was sent; whether it was written, the next look tells."""
        self._wanted = WantedVisits()
        self._wake = asyncio.Event()
        self._due_s = 0.0
        self._unread = False
        self._troubles = 0
        self._notices = tools.notices(site) if tools.notices is not None else None
        self._far = None if self._notices is None else FarVisits(tools.ehr, tools.service, self._notices)

    def __len__(self) -> int:
        return len(self._bookings)

    def reconfigured(self, site: Site) -> None:
        """Work with another configuration from now on."""
        self.site, self._due_s = site, 0.0
        self._refused.clear()
        self._bookings = {
            visit: moved for visit, one in self._bookings.items() if (moved := booking(site, one.appointment))
        }
        self._wake.set()
        if self._notices is not None:
            self._notices.reconfigured(site)

    def held(self) -> tuple[Mapping[str, int], float]:
        """Return how many messages wait, by reason, and for how long the oldest is due that could go out."""
        return ({}, 0.0) if self._notices is None else (self._notices.held(), self._notices.oldest_due_s())

    def happened(self, visit: str) -> None:
        """Look at a visit at once: its patient is here."""
        found = self._bookings.get(visit)
        if found is not None:
            self._wanted.add(visit, found.start, self._tools.monotonic(), urgent=True)
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_reading(), name="read coming visits")
            tasks.create_task(self._keep_attending(), name="attend to visits")
            if self._notices is not None:
                tasks.create_task(self._notices.run(), name="send what is due")

    async def read(self) -> None:
        """Read the coming visits, and note which of them lack something."""
        began_s, now = self._tools.monotonic(), self._tools.now()
        self._due_s = self._tools.monotonic() + self._tools.interval_s
        async with self._tools.gates.reading(doubtful=self._unread):
            try:
                async with asyncio.timeout(_READING_MAX_S):
                    found = await visits_between(self._tools.ehr, self.site, now - _BEHIND, now + _AHEAD)
            except (RemoteError, KeysError, TimeoutError) as exc:
                self._unread = True
                why = f"not read in {_READING_MAX_S:g} s" if isinstance(exc, TimeoutError) else exc
                _log.warning("coming visits of %s/%s are not read: %s", *_names(self.site), why)
                self._tools.metrics.appointment_reads.labels("failed").inc()
                return
        self._unread = False
        self._tools.metrics.appointment_reads.labels("read").inc()
        # What was looked at by itself meanwhile is newer than the list.
        self._looked_s = {visit: at_s for visit, at_s in self._looked_s.items() if at_s > began_s}
        newer = {visit: self._bookings[visit] for visit in self._looked_s if visit in self._bookings}
        self._bookings = {self._tools.service.name(one.site, one.appointment_id): one for one in found} | newer
        for known in (self._recorded, self._refused):
            for visit in known.keys() - self._bookings.keys():
                del known[visit]
        self._arrival_sent &= self._bookings.keys()
        self._wanted.forget(self._bookings.keys())
        for number, (visit, one) in enumerate(list(self._bookings.items())):
            if self._lacks(visit, one):
                self._wanted.add(visit, one.start, self._tools.monotonic())
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
        self._wake.set()
        if self._notices is not None and self._far is not None:
            self._notices.read(self._bookings, now + _AHEAD)
            async with self._tools.gates.reading(doubtful=False):
                await self._far.take_turn(self.site, now + _AHEAD, _READING_MAX_S)

    async def attend(self) -> bool:
        """Look at some visits whose time has come; return whether the EHR gave no trouble."""
        some = self._wanted.take(_AT_A_TIME, self._tools.monotonic())
        async with self._tools.gates.changing(doubtful=self._troubles > 0):
            well = await asyncio.gather(*(self._attend(one) for one in some))
        self._troubles = 0 if any(well) or not some else self._troubles + 1
        return self._troubles == 0

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(max(self._due_s - self._tools.monotonic(), 0))
            await self.read()

    async def _keep_attending(self) -> None:
        while True:
            self._wake.clear()
            next_s = self._wanted.next_s()
            pause_s = None if next_s is None else next_s - self._tools.monotonic()
            if pause_s is None or pause_s > 0:
                await awakened(self._wake, pause_s)
            elif not await self.attend():
                await asyncio.sleep(min(_PAUSE_S * 2 ** min(self._troubles, 8), _LONGEST_PAUSE_S))

    def _lacks(self, visit: str, found: Booking) -> bool:
        """Return whether a visit is to be looked at, as far as can be said without a question to anybody."""
        if self._recorded.get(visit) != self._to_record(found):
            return True
        return self._may_arrive(found) or bool(self._allowed(visit, found, Status()))

    def _may_arrive(self, found: Booking) -> bool:
        asked_for = found.site.endpoint.appointments.write_back_arrival
        return bool(asked_for) and found.appointment.status == "booked" and abs(found.start - self._tools.now()) < _NEAR

    async def _attend(self, wanted: Wanted) -> bool:
        """Bring one appointment up to date; what cannot be done now is tried again. Return False for trouble."""
        try:
            done = await self._brought_up_to_date(wanted)
            well = True
        except RefusedError as exc:
            done, well = False, exc.status in _BUSY
            if not well:
                _log.warning("an appointment of %s/%s is not changed: %s", *_names(self.site), exc)
        except (RemoteError, KeysError) as exc:
            # Perhaps it was done: the appointment is read before the next try.
            done, well = False, False
            _log.warning("an appointment of %s/%s is not changed: %s", *_names(self.site), exc)
        except (SQLAlchemyError, OSError) as exc:
            done, well = False, False
            _log.warning("coming visits: the database does not answer (%s)", type(exc).__name__)
        except LeaseEndsError:
            done, well = False, False
        if not done:
            self._wanted.again(wanted, self._tools.monotonic())
        return well

    async def _brought_up_to_date(self, wanted: Wanted) -> bool:
        """Return whether nothing is left to do for now; others may change the appointment as fast as we do.

        Raises:
            RemoteError, KeysError, LeaseEndsError, SQLAlchemyError: It is to be tried again.
        """
        visit = wanted.visit
        if wanted.failures and not await self._look_again(visit):
            return True
        for _ in range(_TRIES):
            found = self._bookings.get(visit)
            if found is None:
                return True
            await self._record(visit, found)
            actions = self._allowed(visit, found, await self._status(visit, found))
            if not actions:
                return True
            is_written = await self._write(visit, found, actions[0])
            if not await self._look_again(visit):
                return True
            if is_written and isinstance(actions[0], WriteLinks):
                await self._check_rooms(visit, actions[0])
        return False

    async def _record(self, visit: str, found: Booking) -> None:
        wanted = self._to_record(found)
        if self._recorded.get(visit) != wanted:
            await self._tools.service.record(found)
            self._recorded[visit] = wanted

    def _to_record(self, found: Booking) -> tuple[VisitRow, bool]:
        return self._tools.service.row(found), found.is_cancelled

    async def _status(self, visit: str, found: Booking) -> Status:
        if not self._may_arrive(found):
            return Status()
        return status_of(await self._tools.events.of(visit), self._tools.now())

    def _allowed(self, visit: str, found: Booking, status: Status) -> list[Action]:
        """Return what is to be written, without what the EHR refused to this version of the appointment."""
        service = self._tools.service
        desired = Desired(service.link(found, Role.PROVIDER), service.link(found, Role.PATIENT))
        actions: list[Action] = plan(found, desired, status, self._tools.now())
        if max(len(desired.provider), len(desired.patient)) > LONGEST_LINK:
            _log.error("a link is longer than the EHR takes: shorten connector.publicURL of %s/%s", *_names(found.site))
            actions = [action for action in actions if type(action) is not WriteLinks]
        version, refused = self._refused.get(visit, _NOTHING)
        if version == found.appointment.version:
            actions = [action for action in actions if type(action) not in refused]
        return actions

    async def _write(self, visit: str, found: Booking, action: Action) -> bool:
        """Write one thing, or learn why it is not to be written; the next look tells what is left to do.

        Return whether the EHR said that it is written.

        Raises:
            RemoteError: Nobody knows whether it was written, or it is to be tried later.
        """
        outcome = "unavailable"
        arrival = isinstance(action, WriteArrived)
        try:
            if arrival:
                self._arrival_sent.add(visit)
            await self._send(found, action)
            outcome = "written"
        except RefusedError as exc:
            outcome = str(exc.status)
            self._arrival_sent.discard(visit)
            if exc.status in _BUSY | _OF_THE_ENDPOINT:
                raise
            if exc.status not in _STALE:
                self._refuse(visit, found, action)
                _log.warning("an appointment of %s/%s cannot be changed: %s", *_names(self.site), exc)
        finally:
            self._tools.metrics.appointment_writes.labels(_what(action), outcome).inc()
        return outcome == "written"

    async def _check_rooms(self, visit: str, action: WriteLinks) -> None:
        """Give up on an EHR that took the links and shows the provider's in the patient's room: to repeat it mends nothing.

        It gets the patient's link for both rooms: the clinician has the board, and the patient must not have the other one.
        """
        found = self._bookings[visit]
        if found.appointment.link(PATIENT_ROOM) != action.provider:
            return
        await self._write(visit, found, replace(action, provider=action.patient))
        if not await self._look_again(visit):
            return
        found = self._bookings[visit]
        self._refuse(visit, found, action)
        self._tools.metrics.appointment_writes.labels(_what(action), "exchanged").inc()
        _log.error("%s/%s shows the provider's link in the patient's room of an appointment", *_names(self.site))

    def _refuse(self, visit: str, found: Booking, action: Action) -> None:
        version, refused = self._refused.get(visit, _NOTHING)
        kept = refused if version == found.appointment.version else frozenset[type[Action]]()
        self._refused[visit] = (found.appointment.version, kept | {type(action)})

    async def _send(self, found: Booking, action: Action) -> None:
        async def write(fhir: Fhir) -> None:
            # Right before the request, when the token is there.
            if self._tools.monotonic() + ANSWER_TIMEOUT_S > self.lease_ends_s:
                raise LeaseEndsError
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

        await self._tools.ehr.call(found.site, write)

    async def _look_again(self, visit: str) -> bool:
        """Read an appointment as the EHR has it now; return whether it is still a visit of ours."""
        known = self._bookings.get(visit)
        if known is None:
            return False
        try:
            appointment = await self._tools.ehr.call(self.site, lambda fhir: fhir.appointment(known.appointment_id))
        except RefusedError as exc:
            if exc.status not in _GONE:
                raise
            appointment = None
        found = booking(self.site, appointment) if appointment is not None else None
        if found is None:
            self._bookings.pop(visit, None)
            return False
        self._bookings[visit] = found
        self._looked_s[visit] = self._tools.monotonic()
        if visit in self._arrival_sent and found.appointment.status == "arrived":
            event = VisitEvent(Kind.ARRIVED_WRITTEN, Kind.ARRIVED_WRITTEN, self._tools.now())
            await self._tools.events.record(visit, [event])
            self._arrival_sent.discard(visit)
        return True


def _what(action: Action) -> str:
    return "links" if isinstance(action, WriteLinks) else "arrival"


def _names(site: Site) -> tuple[str, str]:
    return site.namespace, site.endpoint.name
