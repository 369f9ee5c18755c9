"""What the patient's and the clinician's pages can do with a visit.

The EHR is asked each time: a link is alive while the EHR says that its appointment is. Only what says nothing about the
patient is written down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import OrganizationConfiguration
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import Appointment
from ehr_connector.directory import Directory, Site
from ehr_connector.ehr.access import EhrAccess, in_time_for_a_page
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.events import Events
from ehr_connector.store.guests import Guests
from ehr_connector.store.rates import Limit, Rates
from ehr_connector.store.visits import Meeting, VisitRow, Visits
from ehr_connector.teams.refusals import TeamsError
from ehr_connector.visits.booking import Access, Booking, VisitKind, access, booking
from ehr_connector.visits.events import CANCELLED_BEFORE, Channel, DeviceTestResult, Kind, VisitEvent
from ehr_connector.visits.links import JoinLink, LinkError, Links, Role
from ehr_connector.visits.look import JoinRefusedError, Look, TooOftenError, bare
from ehr_connector.visits.recent import Recent

_log = logging.getLogger(__name__)

_REPEAT_S = 60
"""The same thing told again within this time (seconds) is told once."""
_RECENT_S = 5.0
"""How long an appointment is believed to be as it was read, and a page says whether it was moved as it said before."""
_LISTENED_S, _LISTENED_TRIES = 3.0, 20
"""A patient waits for so long (seconds) at the most until the meeting is listened to; joining matters more."""
_JOINS = Limit(30, timedelta(minutes=10))
"""Joins by one link, openings of its page and results of its device test: above that a program presses the button, or reloads the page."""
_CONSULT = timedelta(hours=1)
"""For how long a consult without a booking is planned."""
_OF_USE = frozenset({Access.EARLY, Access.OPEN})
_GUESTS = {Role.GUEST: "guest", Role.INTERPRETER: "interpreter"}


class Meetings(Protocol):
    """The Teams meetings of visits (`ehr_connector.teams.meetings`)."""

    async def ensure(
        self, organization: OrganizationConfiguration, row: VisitRow, co_organizers: Sequence[str] = ()
    ) -> Meeting:
        """Return the meeting of a visit, made if need be."""
        ...

    async def patient_address(self, organization: OrganizationConfiguration, meeting: Meeting) -> str:
        """Return where a patient's browser goes."""
        ...

    async def is_listened_to(self, visit: str) -> bool:
        """Return whether Graph tells us what happens in the meeting."""
        ...


class VisitService:
    """Visits, by link and by booking."""

    def __init__(
        self,
        *,
        directory: Directory,
        ehr: EhrAccess,
        secret: SecretKeys,
        links: Links,
        visits: Visits,
        events: Events,
        guests: Guests,
        meetings: Meetings,
        rates: Rates,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._ehr = ehr
        self._secret = secret
        self._links = links
        self._visits = visits
        self._events = events
        self._guests = guests
        self._meetings = meetings
        self._rates = rates
        self._now = now
        self._waits: dict[str, asyncio.Task[None]] = {}
        self._recent: Recent[tuple[bytes, str], Appointment] = Recent(_RECENT_S, monotonic)
        self._recently_moved: Recent[str, bool] = Recent(_RECENT_S, monotonic)

    def name(self, site: Site, appointment_id: str) -> str:
        """Return the name that a visit has everywhere outside memory."""
        return self._secret.name("visit", site.base_url, appointment_id)

    async def look(self, token: str) -> Look:
        """Return what the page behind a link shows.

        Raises:
            LinkError: It is no link of ours, or its endpoint is not served any more.
        """
        return (await self._seen(token))[0]

    async def opened(self, token: str) -> None:
        """Note that the patient uses the page."""
        look, found = await self._seen(token)
        if found is None or look.access not in _OF_USE or await self._wait(look, "opened", token) is not None:
            return
        # First of all: what the patient does now is done for the appointment as it stands, also when it was just moved.
        row = await self.record(found)
        await self._note(look, Kind.OPENED)
        if look.access is Access.OPEN:
            # The patient is about to join: the meeting is made now, so that it is listened to by then.
            with suppress(TeamsError):
                await self._meetings.ensure(found.site.organization, row)

    async def device_test(self, token: str, result: DeviceTestResult) -> None:
        """Note how the patient's device test ended."""
        look, found = await self._seen(token)
        if found is None or look.access not in _OF_USE or await self._wait(look, "device test", token) is not None:
            return
        await self.record(found)
        await self._note(look, Kind.DEVICE_TEST, result)

    async def join(self, token: str) -> str:
        """Return the address in Teams to which the browser goes.

        Raises:
            LinkError: As for `look`.
            JoinRefusedError: The link opens nothing now.
            TooOftenError: It was used too often.
            TeamsError: There is no meeting to be had.
        """
        look, found = await self._seen(token)
        early_provider = look.role is Role.PROVIDER and look.access is Access.EARLY
        if found is None or not (look.access is Access.OPEN or early_provider):
            raise JoinRefusedError(look)
        wait = await self._wait(look, "joined", token)
        if wait is not None:
            raise TooOftenError(look, wait)
        row = await self.record(found)
        organization = found.site.organization
        meeting = await self._meetings.ensure(organization, row)
        if look.role is Role.PROVIDER:
            await self._note(look, Kind.PROVIDER_JOINING)
            return meeting.join_web_url
        await self._note(look, Kind.JOINING)
        await self._until_listened_to(row.visit)
        return await self._meetings.patient_address(organization, meeting)

    async def _wait(self, look: Look, what: str, token: str) -> timedelta | None:
        """Return how long to wait until the link may do this again, or None; dead links do nothing anyway."""
        if look.visit is None:
            return None
        return await self._rates.take(self._secret.name("rate", what, look.visit, token), _JOINS)

    async def _until_listened_to(self, visit: str) -> None:
        """Wait a moment for Graph: whoever enters before it tells us is not seen until something else happens.

        All who join a visit at once wait together, so that the database is asked for one.
        """
        wait = self._waits.get(visit)
        if wait is None:
            wait = self._waits[visit] = asyncio.create_task(self._listened_to(visit))
            wait.add_done_callback(lambda _: self._waits.pop(visit, None))
        await asyncio.shield(wait)

    async def _listened_to(self, visit: str) -> None:
        for _ in range(_LISTENED_TRIES):
            if await self._meetings.is_listened_to(visit):
                return
            await asyncio.sleep(_LISTENED_S / _LISTENED_TRIES)

    async def record(self, found: Booking, kind: VisitKind = VisitKind.PATIENT) -> VisitRow:
        """Write down that there is this visit, and that it was moved or cancelled when it was."""
        row = self.row(found, kind)
        standing = await self._visits.get(row.visit)
        written = await self._visits.put(row)
        if standing is not None and standing.starts_at != row.starts_at:
            now = self._now()
            # Replicas may notice it together; the same move on another day is another one.
            key = f"moved {standing.starts_at.isoformat()} {row.starts_at.isoformat()} {_minute(now)}"
            await self._events.record(row.visit, [VisitEvent(key, Kind.MOVED, now)])
        if found.is_cancelled and kind is VisitKind.PATIENT:
            key = f"cancelled {row.starts_at.isoformat()}"
            code = CANCELLED_BEFORE if standing is None else None
            await self._events.record(row.visit, [VisitEvent(key, Kind.CANCELLED, self._now(), code)])
        return written

    async def consult(self, site: Site, *about: str) -> VisitRow:
        """Write down a meeting of clinicians that belongs to no booking; whoever asks again while it lasts gets the same."""
        name, now = self._secret.name("visit", site.base_url, VisitKind.CONSULT.value, *about), self._now()
        standing = await self._visits.get(name)
        if standing is not None and standing.ends_at > now:
            return standing
        row = VisitRow(
            visit=name,
            namespace=site.namespace,
            name=site.organization_name,
            endpoint=site.endpoint.name,
            environment=site.endpoint.environment.value,
            profile_digest=site.endpoint.profile_digest,
            department=site.endpoint.departments[0].name,
            kind=VisitKind.CONSULT.value,
            starts_at=now,
            ends_at=now + _CONSULT,
        )
        return await self._visits.put(row)

    def row(self, found: Booking, kind: VisitKind = VisitKind.PATIENT) -> VisitRow:
        """Return a booking as it is written down."""
        site = found.site
        parts = (found.appointment_id,) if kind is VisitKind.PATIENT else (found.appointment_id, kind.value)
        return VisitRow(
            visit=self._secret.name("visit", site.base_url, *parts),
            namespace=site.namespace,
            name=site.organization_name,
            endpoint=site.endpoint.name,
            environment=site.endpoint.environment.value,
            profile_digest=site.endpoint.profile_digest,
            department=found.department.name,
            kind=kind.value,
            starts_at=found.start,
            ends_at=found.end,
            location=found.location,
        )

    def link(self, found: Booking, role: Role, number: int = 0) -> str:
        """Return the address of a link of a visit."""
        link = JoinLink(found.site.tag, found.appointment_id, role, number)
        return self._links.url(found.site.organization.public_url, link)

    async def sent(self, found: Booking, channel: Channel) -> None:
        """Note that the patient's link was sent."""
        row = await self.record(found)
        now = self._now()
        event = VisitEvent(f"sent {channel} {now.timestamp():.3f}", Kind.LINK_SENT, now, channel.value)
        await self._events.record(row.visit, [event])

    async def read(self, site: Site, appointment_id: str) -> Booking | None:
        """Return a visit as the EHR has it, or None when it has no such virtual visit.

        Raises:
            RemoteError, KeysError: The EHR gave no usable answer.
        """

        async def ask(fhir: Fhir) -> Appointment:
            return await fhir.appointment(appointment_id)

        try:
            key = (site.tag, appointment_id)
            appointment = await self._recent.get(key, lambda: self._ehr.call(site, ask))
        except RefusedError as exc:
            if exc.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
                return None
            raise
        return booking(site, appointment)

    async def _seen(self, token: str) -> tuple[Look, Booking | None]:
        link = self._links.read(token)
        site = await self._directory.by_tag(link.site_tag)
        if site is None:
            raise LinkError
        visit = self.name(site, link.appointment)
        guest = _GUESTS.get(link.role)
        try:
            if guest is not None and not await self._guests.is_alive(visit, link.number, guest):
                return bare(site, Access.GONE, link.role), None
            if not site.endpoint.active:
                return bare(site, Access.INACTIVE, link.role), None
            async with in_time_for_a_page():
                found = await self.read(site, link.appointment)
        except (RemoteError, KeysError, SQLAlchemyError):
            return bare(site, Access.UNAVAILABLE, link.role), None
        if found is None:
            return bare(site, Access.GONE, link.role), None
        look = replace(
            bare(site, access(found, self._now()), link.role),
            department=found.department.display_name,
            start=found.start,
            opens_at=found.opens_at,
            closes_at=found.closes_at,
            moved=await self._was_moved(visit),
            visit=visit,
        )
        return look, found

    async def _was_moved(self, visit: str) -> bool:
        """Return whether the page says that the time is another one; it is shown, with the phone, without our database."""

        async def read() -> bool:
            return any(event.kind is Kind.MOVED for event in await self._events.of(visit))

        try:
            return await self._recently_moved.get(visit, read)
        except SQLAlchemyError as exc:
            _log.warning("whether a visit was moved is not known: %s", type(exc).__name__)
            return False

    async def _note(self, look: Look, kind: Kind, code: str | None = None) -> None:
        """Note something of the patient's visit; guests and dead links leave no trace."""
        patient = look.role is Role.PATIENT or kind is Kind.PROVIDER_JOINING
        if look.visit is None or not patient or look.access not in _OF_USE:
            return
        now = self._now()
        key = f"{kind} {code or ''} {_minute(now)}"
        await self._events.record(look.visit, [VisitEvent(key, kind, now, code)])


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // _REPEAT_S
