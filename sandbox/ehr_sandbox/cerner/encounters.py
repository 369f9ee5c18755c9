"""An encounter as Millennium shows it. Each appointment that has a time has one; some of them do not name it.

Source: Cerner's R4 page "Encounter". A launch names patient and encounter, never the appointment: where
`Encounter.appointment` is missing, the patient's appointments of the day must be searched.
"""

from __future__ import annotations

from typing import Any

from ehr_sandbox.cerner.bookings import VIDEO_VISIT, Booking, instant
from ehr_sandbox.cerner.people import Person
from ehr_sandbox.cerner.places import PLACES

_PREFIX = "9"
_STATUSES = {
    "booked": "planned",
    "arrived": "arrived",
    "checked-in": "in-progress",
    "fulfilled": "finished",
}
_CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def encounter_id(booking: Booking) -> str | None:
    """Return the id of an appointment's encounter; None when it has none."""
    return None if booking.encounter == "none" or booking.start is None else f"{_PREFIX}{booking.id}"


def appointment_id(encounter: str) -> str:
    """Return the id of the appointment that an encounter, if there is one of that id, belongs to."""
    return encounter.removeprefix(_PREFIX)


def encounter_resource(tenant: str, booking: Booking, patient: Person, practitioner: Person) -> dict[str, Any]:
    """Return the Encounter of an appointment."""
    virtual = booking.service == VIDEO_VISIT
    period = {"start": instant(booking.requested[0]), "end": instant(booking.requested[1])}
    place = {"reference": f"Location/{booking.location_id}", "display": PLACES[booking.location_id].name}
    resource: dict[str, Any] = {
        "resourceType": "Encounter",
        "id": encounter_id(booking),
        "meta": {"versionId": str(booking.changes), "lastUpdated": instant(booking.last_updated)},
        "text": {
            "status": "generated",
            "div": (
                '<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Encounter</b></p>'
                f"<p><b>Type</b>: {booking.service}</p></div>"
            ),
        },
        "identifier": [
            {
                "use": "usual",
                "type": {"text": "FIN NBR"},
                "system": "urn:oid:1.1.1.1.1.2",
                "value": f"7{booking.id}",
            }
        ],
        "status": _STATUSES.get(booking.status, "cancelled"),
        "class": {
            "system": _CLASS,
            "code": "VR" if virtual else "AMB",
            "display": "virtual" if virtual else "ambulatory",
            "userSelected": False,
        },
        "type": [
            {
                "coding": [
                    {
                        "system": f"https://fhir.cerner.com/{tenant}/codeSet/71",
                        "code": "309309" if virtual else "309308",
                        "display": booking.service,
                        "userSelected": True,
                    }
                ],
                "text": booking.service,
            }
        ],
        "subject": {"reference": f"Patient/{patient.id}", "display": patient.display},
        "participant": [
            {
                "type": [
                    {
                        "coding": [
                            {"system": _PARTICIPATION, "code": "ATND", "display": "attender", "userSelected": False}
                        ],
                        "text": "Attending Physician",
                    }
                ],
                "period": period,
                "individual": {"reference": f"Practitioner/{practitioner.id}", "display": practitioner.display},
            }
        ],
        "period": period,
        "location": [{"location": place, "status": "active"}],
    }
    if booking.encounter == "linked":
        resource["appointment"] = [{"reference": f"Appointment/{booking.id}"}]
    return resource
