"""What an appointment in the EHR lacks. Pure.

Source: Millennium, R4 Appointment, "Patch": links are added or replaced, never removed; only some moves of the status are
legal, and `arrived` sets the tracking status alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_clients.fhir_model import PATIENT_ROOM, PROVIDER_ROOM
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Status

LONGEST_LINK = 255
"""What Cerner takes."""
_ALIVE = frozenset({"booked", "arrived", "checked-in"})
_MOMENT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Desired:
    """The links that the appointment is to carry."""

    provider: str
    patient: str


@dataclass(frozen=True, slots=True)
class WriteLinks:
    """Write both links, with the time for which they hold."""

    provider: str
    patient: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WriteArrived:
    """Show the patient as arrived."""


Action = WriteLinks | WriteArrived


def plan(found: Booking, desired: Desired, status: Status, now: datetime) -> list[Action]:
    """Return what is to be written into the appointment, nothing when it is as it should be."""
    appointments = found.site.endpoint.appointments
    actions: list[Action] = []
    if not found.site.endpoint.active:
        return actions
    if appointments.write_back_links:
        links = _links(found, desired, now)
        if links is not None:
            actions.append(links)
    if appointments.write_back_arrival and found.appointment.status == "booked" and _came(found, status):
        actions.append(WriteArrived())
    return actions


def _came(found: Booking, status: Status) -> bool:
    """Return whether the patient came to this visit; who came before it opened came to another time of it."""
    return status.came_at is not None and status.came_at >= found.opens_at


def _links(found: Booking, desired: Desired, now: datetime) -> WriteLinks | None:
    appointment = found.appointment
    standing = (appointment.link(PROVIDER_ROOM), appointment.link(PATIENT_ROOM))
    wanted = (desired.provider, desired.patient)
    if appointment.status in _ALIVE:
        if now >= found.closes_at:
            return None
        holds = appointment.link_period()
        if standing == wanted and holds == (found.opens_at, found.closes_at):
            return None
        return WriteLinks(*wanted, found.opens_at, found.closes_at)
    if standing != wanted or appointment.status != "cancelled":
        return None
    # Links cannot be taken away; their time can be over.
    end = appointment.link_period()[1]
    if end is not None and end <= now:
        return None
    return WriteLinks(*wanted, now - _MOMENT, now)
