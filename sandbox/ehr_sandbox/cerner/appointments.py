"""An appointment as Millennium shows it.

Source: Cerner's R4 page "Appointment" with its examples.
"""

from __future__ import annotations

from typing import Any

from ehr_sandbox.cerner.bookings import Booking, Links, instant
from ehr_sandbox.cerner.people import Person
from ehr_sandbox.cerner.places import PLACES

_EXTENSIONS = "https://fhir-ehr.cerner.com/r4/StructureDefinition"
_SERVICE_CODES = {
    "Video Visit": "21265430",
    "Office Visit": "21265424",
    "Follow Up": "21265425",
    "Same Day": "21265426",
}
SERVICES = tuple(_SERVICE_CODES)
"""The types of visit."""
_PATIENT_ROOM = ("607", "Patient Virtual Meeting Room")
_PROVIDER_ROOM = ("610", "Provider Virtual Meeting Room")
_OPEN = frozenset({"booked", "proposed", "arrived", "checked-in"})


def appointment_resource(tenant: str, booking: Booking, patient: Person, practitioner: Person) -> dict[str, Any]:
    """Return the Appointment."""
    resource: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": booking.id,
        "meta": {"versionId": booking.version, "lastUpdated": instant(booking.last_updated)},
        "text": {
            "status": "generated",
            "div": (
                '<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Appointment</b></p>'
                f"<p><b>Status</b>: {booking.status}</p><p><b>Service Type</b>: {booking.service}</p></div>"
            ),
        },
        "extension": [
            {"url": f"{_EXTENSIONS}/is-cancelable", "valueBoolean": booking.status in _OPEN},
            {"url": f"{_EXTENSIONS}/is-reschedulable", "valueBoolean": booking.status == "booked"},
        ],
        "status": booking.status,
        "serviceType": [_service_type(tenant, booking.service)],
        "description": booking.service,
        "participant": _participants(tenant, booking, patient, practitioner),
        "requestedPeriod": [_period(booking)],
    }
    if booking.start and booking.end:
        minutes = int((booking.end - booking.start).total_seconds() // 60)
        resource |= {"start": instant(booking.start), "end": instant(booking.end), "minutesDuration": minutes}
    if booking.status == "cancelled":
        resource["cancelationReason"] = {"text": "Patient request"}
    if booking.links is not None:
        # Read order: patient first. A PATCH writes the other way round, so links must be picked by their type.
        resource["contained"] = [
            _room(booking.links, booking.links.patient, *_PATIENT_ROOM),
            _room(booking.links, booking.links.provider, *_PROVIDER_ROOM),
        ]
    return resource


def _service_type(tenant: str, service: str) -> dict[str, Any]:
    return {
        "coding": [
            {
                "system": f"https://fhir.cerner.com/{tenant}/codeSet/14249",
                "code": _SERVICE_CODES[service],
                "display": service,
                "userSelected": True,
            },
            {
                "system": "http://snomed.info/sct",
                "code": "408443003",
                "display": "General medical practice",
                "userSelected": False,
            },
        ],
        "text": service,
    }


def _participants(tenant: str, booking: Booking, patient: Person, practitioner: Person) -> list[dict[str, Any]]:
    status = "needs-action" if booking.status == "proposed" else "accepted"
    performer = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                "code": "PPRF",
                "display": "primary performer",
            }
        ]
    }
    found: list[dict[str, Any]] = [
        {
            "type": [_role(tenant, "4574", "Resource"), performer],
            "actor": {"reference": f"Practitioner/{practitioner.id}", "display": practitioner.display},
            "required": "required",
            "status": status,
        },
        {
            "type": [_role(tenant, "4572", "Patient")],
            "actor": {"reference": f"Patient/{patient.id}", "display": patient.display},
            "required": "required",
            "status": status,
        },
        {
            "actor": {"reference": f"Location/{booking.location_id}", "display": PLACES[booking.location_id].name},
            "required": "required",
            "status": status,
        },
    ]
    if booking.links is not None:
        found += [
            {"type": [{"text": text}], "actor": {"reference": f"#{id_}"}, "status": status}
            for id_, text in (_PATIENT_ROOM, _PROVIDER_ROOM)
        ]
    return found


def _role(tenant: str, code: str, display: str) -> dict[str, Any]:
    system = f"https://fhir.cerner.com/{tenant}/codeSet/14250"
    return {"coding": [{"system": system, "code": code, "display": display, "userSelected": True}], "text": display}


def _room(links: Links, address: str, id_: str, text: str) -> dict[str, Any]:
    period = {"start": links.start, "end": links.end}
    return {
        "resourceType": "HealthcareService",
        "id": id_,
        "type": [{"text": text}],
        "telecom": [{"system": "url", "value": address, "period": period}],
    }


def _period(booking: Booking) -> dict[str, str]:
    return {"start": instant(booking.requested[0]), "end": instant(booking.requested[1])}
