"""The locations. They have the same ids and names at every tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FACILITY_ID = "21304870"
"""The facility that all clinics are part of."""

_PHYSICAL_TYPE = "http://terminology.hl7.org/CodeSystem/location-physical-type"
_ORGANIZATION = "Organization/13971625"


@dataclass(frozen=True, slots=True)
class Place:
    """A location."""

    id: str
    name: str
    alias: str
    kind: tuple[str, str, str]
    """Physical type: Millennium's display, FHIR's code, FHIR's display."""
    city: str
    postal_code: str


_FACILITY = ("Facility(s)", "si", "Site")
_AMBULATORY = ("Ambulatory(s)", "area", "Area")

PLACES = {
    place.id: place
    for place in (
        Place(FACILITY_ID, "Lamna Sample Hospital", "LSH", _FACILITY, "Springfield", "62701"),
        Place("21304876", "Clinic 4", "C4", _AMBULATORY, "Springfield", "62701"),
        Place("21304877", "Family Medicine", "FM", _AMBULATORY, "Springfield", "62702"),
        Place("21304878", "North Campus", "NC", _AMBULATORY, "Northtown", "62707"),
        Place("21304879", "Cardiology", "CARD", _AMBULATORY, "Springfield", "62701"),
        Place("21304880", "Behavioral Health", "BH", _AMBULATORY, "Northtown", "62707"),
    )
}

CLINICS = tuple(place for place in PLACES if place != FACILITY_ID)
"""Ids of the locations that have appointments."""


def location_resource(tenant: str, place: Place) -> dict[str, Any]:
    """Return the Location."""
    millennium, code, display = place.kind
    resource: dict[str, Any] = {
        "resourceType": "Location",
        "id": place.id,
        "meta": {"versionId": "1", "lastUpdated": "2024-02-05T16:12:00Z"},
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Location</b></p><p><b>Name</b>: {place.name}</p></div>',
        },
        "status": "active",
        "name": place.name,
        "alias": [place.alias],
        "mode": "instance",
        "address": {
            "use": "work",
            "text": f"1 Example Way\n{place.city}, IL {place.postal_code}\nUS",
            "line": ["1 Example Way"],
            "city": place.city,
            "state": "IL",
            "postalCode": place.postal_code,
            "country": "US",
        },
        "physicalType": {
            "coding": [
                {
                    "system": f"https://fhir.cerner.com/{tenant}/codeSet/222",
                    "code": "783" if place.id == FACILITY_ID else "772",
                    "display": millennium,
                    "userSelected": True,
                },
                {"system": _PHYSICAL_TYPE, "code": code, "display": display},
            ],
            "text": millennium,
        },
        "managingOrganization": {"reference": _ORGANIZATION, "display": PLACES[FACILITY_ID].name},
    }
    if place.id != FACILITY_ID:
        resource["partOf"] = {"reference": f"Location/{FACILITY_ID}"}
    return resource
