"""Patients that a test plants: with names, phones and identifiers that it can look for elsewhere afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import Field

from ehr_sandbox.cerner.control_bodies import ControlBody
from ehr_sandbox.cerner.people import MRN_SYSTEM, Person, communication, human_name, narrative

_FIRST_PLANTED = 13500000


class NewIdentifier(ControlBody):
    """An identifier; the system is that of medical record numbers unless it is given."""

    value: str
    system: str = MRN_SYSTEM


class NewPatient(ControlBody):
    """The patient to plant."""

    tenant: str | None = None
    given: str = Field(min_length=1)
    family: str = Field(min_length=1)
    gender: str = "unknown"
    birth_date: date = date(1980, 1, 1)
    phone: str | None = None
    """Free text, as in Millennium."""
    email: str | None = None
    language: str | None = None
    """A BCP 47 code, as `es`."""
    identifiers: tuple[NewIdentifier, ...] = ()
    reminders: str | None = None
    """How appointment reminders are wanted, a FHIR contact-point-system as `sms` or `phone`; nothing is recorded without."""
    deceased: bool = False


@dataclass(frozen=True, slots=True)
class Planted:
    """A planted patient, as who they are and as the resource."""

    person: Person
    resource: dict[str, Any]


class PlantedPatients:
    """The patients that were planted, by tenant."""

    def __init__(self) -> None:
        self._patients: dict[str, dict[str, Planted]] = {}
        self._next_id = _FIRST_PLANTED

    def plant(self, tenant: str, new: NewPatient, at: str) -> str:
        """Add a patient and return the id, which no tenant had before."""
        self._next_id += 1
        person = Person(str(self._next_id), new.given, new.family, new.gender)
        self._patients.setdefault(tenant, {})[person.id] = Planted(person, _resource(tenant, person, new, at))
        return person.id

    def get(self, tenant: str, id_: str) -> Planted | None:
        """Return one of a tenant's patients."""
        return self._patients.get(tenant, {}).get(id_)

    def ids(self, tenant: str) -> tuple[str, ...]:
        """Return the ids of a tenant's patients."""
        return tuple(self._patients.get(tenant, ()))

    def tenants(self) -> list[str]:
        """Return the tenants that have any."""
        return list(self._patients)


def _resource(tenant: str, person: Person, new: NewPatient, at: str) -> dict[str, Any]:
    telecom = [
        {"system": system, "value": value, "use": use}
        for system, value, use in (("phone", new.phone, "mobile"), ("email", new.email, "home"))
        if value is not None
    ]
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": person.id,
        "meta": {"versionId": "0", "lastUpdated": at},
        "text": narrative("Patient", person),
        "identifier": [
            {"use": "usual", "type": {"text": "MRN"}, "system": identifier.system, "value": identifier.value}
            for identifier in new.identifiers or (NewIdentifier(value=person.id),)
        ],
        "active": True,
        "name": [human_name(person)],
        "gender": new.gender,
        "birthDate": new.birth_date.isoformat(),
        "address": [
            {
                "use": "home",
                "text": "1 Example Street\nSpringfield, IL 62701\nUS",
                "city": "Springfield",
                "state": "IL",
                "postalCode": "62701",
                "country": "US",
            }
        ],
    }
    if telecom:
        resource["telecom"] = telecom
    if new.language is not None:
        resource["communication"] = [communication(tenant, new.language)]
    if new.reminders is not None:
        resource["extension"] = [_preference(tenant, new.reminders)]
    if new.deceased:
        resource["deceasedBoolean"] = True
    return resource


def _preference(tenant: str, method: str) -> dict[str, Any]:
    """Return a "Communication Preference" as Millennium's documentation shows it: its own code before the standard one."""

    def concept(code_set: int, code: str, system: str, standard: str, display: str) -> dict[str, Any]:
        own = {"system": f"https://fhir.cerner.com/{tenant}/codeSet/{code_set}", "code": code, "display": display}
        return {
            "coding": [
                own | {"userSelected": True},
                {"system": system, "code": standard, "display": display, "userSelected": False},
            ],
            "text": display,
        }

    topic = concept(
        4640016,
        "485602703",
        "http://terminology.hl7.org/CodeSystem/communication-topic",
        "appointment-reminder",
        "Appointment Reminders",
    )
    way = concept(23042, "4054467", "http://hl7.org/fhir/contact-point-system", method, method.capitalize())
    return {
        "url": "https://fhir-ehr.cerner.com/r4/StructureDefinition/communication-preference",
        "extension": [
            {"url": "communication-type", "valueCodeableConcept": topic},
            {"url": "contact-method", "valueCodeableConcept": way},
            {"url": "verified-datetime", "valueDateTime": "2019-04-13T20:00:00.000Z"},
        ],
    }
