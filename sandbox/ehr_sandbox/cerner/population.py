"""The population: everything that can be read, made from a seed and a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from ehr_sandbox.cerner.appointments import appointment_resource
from ehr_sandbox.cerner.bookings import VIDEO_VISIT, Booking, make_bookings, status_counts
from ehr_sandbox.cerner.encounters import appointment_id, encounter_id, encounter_resource
from ehr_sandbox.cerner.people import (
    PATIENT_IDS,
    PRACTITIONER_IDS,
    Person,
    patient_resource,
    person,
    practitioner_resource,
)
from ehr_sandbox.cerner.places import PLACES, location_resource
from ehr_sandbox.cerner.planted import PlantedPatients
from ehr_sandbox.cerner.schedule import Schedule

KINDS = ("Appointment", "Encounter", "Location", "Patient", "Practitioner")
"""The resource types that are served."""


class Population:
    """At the start of the program the same for the same seed and day; then what callers make of it.

    Resources are made when they are asked for: with `--any-tenant` there are more tenants than memory for their people.
    """

    def __init__(self, seed: int, today: date, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bookings = make_bookings(seed, today)
        self.schedule = Schedule(self._bookings, now)
        self.planted = PlantedPatients()
        self._seed = seed
        self._today = today

    def ids(self, tenant: str, kind: str) -> tuple[str, ...]:
        """Return the ids of all of a tenant's resources of a type, none for a type that is not served."""
        match kind:
            case "Patient":
                return (*PATIENT_IDS, *self.planted.ids(tenant))
            case "Practitioner":
                return PRACTITIONER_IDS
            case "Location":
                return tuple(PLACES)
            case "Appointment":
                return tuple(booking.id for booking in self.schedule.all(tenant))
            case "Encounter":
                found = (encounter_id(booking) for booking in self.schedule.all(tenant))
                return tuple(id_ for id_ in found if id_ is not None)
            case _:
                return ()

    def resource(self, tenant: str, kind: str, id_: str) -> dict[str, Any] | None:
        """Return a resource, which callers must not change."""
        if kind == "Patient" and (planted := self.planted.get(tenant, id_)):
            return planted.resource
        if kind == "Patient" and id_ in PATIENT_IDS:
            return patient_resource(self._seed, tenant, id_)
        if kind == "Practitioner" and id_ in PRACTITIONER_IDS:
            return practitioner_resource(self._seed, tenant, id_)
        if kind == "Location" and id_ in PLACES:
            return location_resource(tenant, PLACES[id_])
        if kind == "Appointment" and (booking := self.schedule.get(tenant, id_)):
            return appointment_resource(tenant, booking, *self._people_of(tenant, booking))
        if kind == "Encounter" and (booking := self.schedule.get(tenant, appointment_id(id_))) is not None:
            found = encounter_resource(tenant, booking, *self._people_of(tenant, booking))
            return found if found["id"] == id_ else None
        return None

    def person(self, tenant: str, kind: str, id_: str) -> Person:
        """Return who a patient or practitioner of that id is."""
        planted = self.planted.get(tenant, id_) if kind == "Patient" else None
        return planted.person if planted else person(self._seed, tenant, kind, id_)

    def _people_of(self, tenant: str, booking: Booking) -> tuple[Person, Person]:
        return (
            self.person(tenant, "Patient", booking.patient_id),
            self.person(tenant, "Practitioner", booking.practitioner_id),
        )

    def counts(self) -> dict[str, Any]:
        """Return how many there are of what, at each tenant, when the program begins."""
        return {
            "seed": self._seed,
            "day": self._today.isoformat(),
            "patients": len(PATIENT_IDS),
            "practitioners": len(PRACTITIONER_IDS),
            "locations": len(PLACES),
            "encounters": sum(encounter_id(booking) is not None for booking in self._bookings.values()),
            "appointments": len(self._bookings),
            "videoVisits": sum(booking.service == VIDEO_VISIT for booking in self._bookings.values()),
            "appointmentsByStatus": status_counts(self._bookings),
        }
