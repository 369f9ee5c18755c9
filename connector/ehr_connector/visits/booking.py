"""An appointment as a visit: which it is, when and for which department, and whether its link is alive. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ehr_api.duration import seconds
from ehr_api.v1alpha1.fhir_endpoint import Department
from ehr_clients.fhir_model import Appointment
from ehr_connector.directory import Site

_OPENS_BEFORE = timedelta(minutes=30)
_CLOSES_AFTER = timedelta(hours=4)
_USUAL_LENGTH = timedelta(minutes=30)
_ALIVE = frozenset({"booked", "arrived", "checked-in"})
_NOT_YET = frozenset({"proposed", "pending", "waitlist"})
_CANCELLED = frozenset({"cancelled", "entered-in-error"})
"""It does not take place, and nobody is to be expected."""


class VisitKind(StrEnum):
    """What a visit is for."""

    PATIENT = "patient"
    CONSULT = "consult"
    """A meeting with a colleague; it has no patient's link."""


class Access(StrEnum):
    """What a link opens now."""

    EARLY = "early"
    OPEN = "open"
    LATE = "late"
    CANCELLED = "cancelled"
    GONE = "gone"
    """The EHR knows no such appointment, or it is no virtual visit any more, or the link was revoked."""
    INACTIVE = "inactive"
    """The endpoint may not hold visits (yet)."""
    UNAVAILABLE = "unavailable"
    """The EHR does not answer, so nobody can say."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A booked virtual visit. It holds ids of the EHR: it lives in memory, for the time of a request."""

    site: Site
    appointment: Appointment
    start: datetime
    end: datetime
    department: Department
    opens_at: datetime
    closes_at: datetime

    @property
    def type_text(self) -> str | None:
        """What kind of visit it is, as the EHR calls it."""
        return next((concept.text for concept in self.appointment.service_type if concept.text), None)

    @property
    def location(self) -> str | None:
        """Logical id of the first of its locations that the endpoint's configuration names: no room is told of otherwise."""
        configured = {*(self.site.endpoint.appointments.locations or ())}
        configured.update(one for department in self.site.endpoint.departments for one in department.locations)
        return next((one for one in self.appointment.ids_of("Location") if one in configured), None)

    @property
    def is_cancelled(self) -> bool:
        """Whether the visit does not take place."""
        return self.appointment.status in _CANCELLED

    @property
    def appointment_id(self) -> str:
        """Logical id of the Appointment at the site's base URL."""
        return self.appointment.id


def booking(site: Site, appointment: Appointment) -> Booking | None:
    """Return the virtual visit that an appointment is, or None when it is none of ours."""
    types = set(site.endpoint.appointments.virtual_visit_types)
    concepts = [*appointment.service_type, *([appointment.appointment_type] if appointment.appointment_type else [])]
    if appointment.start is None or not any(concept.is_any_of(types) for concept in concepts):
        return None
    length = timedelta(minutes=appointment.minutes_duration) if appointment.minutes_duration else _USUAL_LENGTH
    end = appointment.end
    if end is None or end <= appointment.start:
        end = appointment.start + length
    before, after = join_window(site)
    return Booking(
        site=site,
        appointment=appointment,
        start=appointment.start,
        end=end,
        department=_department(site, appointment),
        opens_at=appointment.start - before,
        closes_at=appointment.start + after,
    )


def access(found: Booking, now: datetime) -> Access:
    """Return what the patient's link of a visit opens now."""
    status = found.appointment.status
    if not found.site.endpoint.active:
        return Access.INACTIVE
    if status in {"cancelled", "noshow"}:
        return Access.CANCELLED
    if status in _NOT_YET:
        return Access.EARLY if now < found.opens_at else Access.GONE
    if status == "fulfilled":
        return Access.LATE
    if status not in _ALIVE:
        return Access.GONE
    if now < found.opens_at:
        return Access.EARLY
    return Access.OPEN if now < found.closes_at else Access.LATE


def join_window(site: Site) -> tuple[timedelta, timedelta]:
    """Return how long before and after the start a link is open."""
    window = site.organization.visits.join_window if site.organization.visits else None
    before = window.opens_before if window else None
    after = window.closes_after if window else None
    return (
        timedelta(seconds=seconds(before)) if before else _OPENS_BEFORE,
        timedelta(seconds=seconds(after)) if after else _CLOSES_AFTER,
    )


def _department(site: Site, appointment: Appointment) -> Department:
    """Return the department that one of the appointment's locations belongs to; the first one where none says so."""
    locations = set(appointment.ids_of("Location"))
    departments = site.endpoint.departments
    return next((one for one in departments if locations & set(one.locations)), departments[0])
