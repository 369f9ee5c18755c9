"""What the EHR has of the launched patient: the visits that a session may reach, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from ehr_clients.errors import RemoteError
from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import Appointment, Patient
from ehr_connector.directory import Directory, Site
from ehr_connector.ehr.access import EhrAccess, in_time_for_a_page
from ehr_connector.keys.files import KeysError
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.visits.booking import Access, Booking, access, booking, join_window

_Found = TypeVar("_Found")

_AHEAD = timedelta(days=14)


class BoardReason(StrEnum):
    """Why an action was not done."""

    NOT_SERVED = "not_served"
    EHR_UNAVAILABLE = "ehr_unavailable"
    NO_SUCH_VISIT = "no_such_visit"
    NOT_OPEN = "not_open"
    NO_ACCOUNT = "no_account"
    TOO_OFTEN = "too_often"
    TOO_MANY_LINKS = "too_many_links"


class BoardError(Exception):
    """Ends an action with a page that says why."""

    def __init__(self, reason: BoardReason, **values: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values = values


class Charts:
    """Reads from the EHR what a session is about, each time."""

    def __init__(self, directory: Directory, ehr: EhrAccess, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._ehr = ehr
        self._now = now

    async def site(self, session: ClinicianSession) -> Site:
        """Return the site of a session.

        Raises:
            BoardError: It is not served any more.
        """
        site = await self._directory.by_tag(bytes.fromhex(session.site))
        if site is None or not site.endpoint.active:
            raise BoardError(BoardReason.NOT_SERVED)
        return site

    async def site_of(self, tag: str) -> Site | None:
        """Return the site of a tag (hexadecimal), active or not; None where there is none."""
        return await self._directory.by_tag(bytes.fromhex(tag)) if tag else None

    async def bookings(self, site: Site, session: ClinicianSession) -> list[Booking]:
        """Return the patient's virtual visits from the clinic's midnight on, and those that go on since before it, by start.

        Raises:
            BoardError: The EHR gave no usable answer.
        """
        zone, now = ZoneInfo(site.endpoint.appointments.time_zone), self._now()
        today = datetime.combine(now.astimezone(zone).date(), time.min, zone).astimezone(UTC)
        since = min(today, now - join_window(site)[1])

        async def search(fhir: Fhir) -> list[Appointment]:
            return await fhir.appointments("patient", [session.patient], since, today + _AHEAD)

        found = [booking(site, one) for one in await self._asked(site, search)]
        ours = [one for one in found if one is not None and session.patient in one.appointment.ids_of("Patient")]
        shown = [one for one in ours if one.start >= today or access(one, now) is Access.OPEN]
        return sorted(shown, key=lambda one: one.start)

    async def patient(self, site: Site, session: ClinicianSession) -> Patient:
        """Return who the patient is.

        Raises:
            BoardError: The EHR gave no usable answer.
        """
        return await self._asked(site, lambda fhir: fhir.patient(session.patient))

    async def launched(self, site: Site, session: ClinicianSession) -> str | None:
        """Return the appointment of the launch's encounter; a launch names no appointment itself.

        It only says which visit stands first: a board without it is better than none.
        """
        if session.encounter is None:
            return None
        encounter_id = session.encounter
        try:
            encounter = await self._asked(site, lambda fhir: fhir.encounter(encounter_id))
        except BoardError:
            return None
        ids = [reference.id_of("Appointment") for reference in encounter.appointment]
        return next((one for one in ids if one is not None), None)

    async def _asked(self, site: Site, ask: Callable[[Fhir], Awaitable[_Found]]) -> _Found:
        try:
            async with in_time_for_a_page():
                return await self._ehr.call(site, ask)
        except (RemoteError, KeysError) as exc:
            raise BoardError(BoardReason.EHR_UNAVAILABLE) from exc
