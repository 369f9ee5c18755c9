"""The people: patients and practitioners who do not exist.

The same id is another person at another tenant, as in Millennium, where an id means nothing without the whole base URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from html import escape
from random import Random
from typing import Any

from ehr_sandbox.cerner.dice import dice

PATIENTS = 300
PRACTITIONERS = 20
_FIRST_PATIENT = 12724000
_FIRST_PRACTITIONER = 4122600
_CACHED = 20_000

MRN_SYSTEM = "urn:oid:1.1.1.1.1.1"
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"

_FAMILIES = (
    "Sampleton", "Mockford", "Pretender", "Fictionson", "Placeholder", "Madeup", "Nobodyson", "Testwell", "Dummyfield",
    "Imaginari", "Notreal", "Examplar", "Fauxmann", "Inventado", "Bogusz", "Trialova", "Demostrom", "Phantomas",
)  # fmt: skip
_GIVENS = {
    "female": (
        "Testa",
        "Exampla",
        "Sampla",
        "Demora",
        "Mocketta",
        "Fabula",
        "Inventa",
        "Ficta",
        "Trialine",
        "Pretenda",
    ),
    "male": (
        "Testo",
        "Exempel",
        "Sampson",
        "Demorius",
        "Mockwell",
        "Fabulo",
        "Invento",
        "Ficton",
        "Trialus",
        "Pretendo",
    ),
}
_LANGUAGES = (
    ("en", "English", 70),
    ("es", "Spanish", 16),
    ("vi", "Vietnamese", 5),
    ("zh", "Chinese", 5),
    ("ar", "Arabic", 4),
)
_CITIES = (("Springfield", "62701"), ("Springfield", "62702"), ("Northtown", "62707"), ("Samplebury", "62561"))
_AREA_CODES = ("217", "312", "618", "773")
_MERGED_EVERY = 75
_YOUNGEST = date(2023, 1, 1)
_AGES_DAYS = 90 * 365


@dataclass(frozen=True, slots=True)
class Person:
    """What all resources that mention a person agree on."""

    id: str
    given: str
    family: str
    gender: str

    @property
    def display(self) -> str:
        """As a reference shows the name."""
        return f"{self.family}, {self.given}"


PATIENT_IDS = tuple(str(_FIRST_PATIENT + number) for number in range(PATIENTS))
PRACTITIONER_IDS = tuple(str(_FIRST_PRACTITIONER + number) for number in range(PRACTITIONERS))


def is_merged(patient_id: str) -> bool:
    """Tell whether a patient's record was merged into the one before it: no appointments, and found by id alone."""
    return (int(patient_id) - _FIRST_PATIENT) % _MERGED_EVERY == _MERGED_EVERY - 1


@lru_cache(maxsize=_CACHED)
def person(seed: int, tenant: str, kind: str, id_: str) -> Person:
    """Return who has this id at this tenant; `kind` is the resource type."""
    chance = dice(seed, tenant, kind, id_)
    gender = chance.choice(tuple(_GIVENS))
    return Person(id_, chance.choice(_GIVENS[gender]), chance.choice(_FAMILIES), gender)


@lru_cache(maxsize=_CACHED)
def patient_resource(seed: int, tenant: str, id_: str) -> dict[str, Any]:
    """Return the Patient; it is shared, so callers must not change it."""
    who = person(seed, tenant, "Patient", id_)
    chance = dice(seed, tenant, "Patient", id_, "details")
    born = _YOUNGEST - timedelta(days=chance.randrange(_AGES_DAYS))
    city, postal_code = chance.choice(_CITIES)
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": id_,
        "meta": {"versionId": str(chance.randrange(1, 40)), "lastUpdated": "2026-03-02T15:04:05.000Z"},
        "text": narrative("Patient", who),
        "identifier": [
            {
                "use": "usual",
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                            "code": "MR",
                            "display": "Medical record number",
                        }
                    ],
                    "text": "MRN",
                },
                "system": MRN_SYSTEM,
                "value": str(int(id_) - _FIRST_PATIENT + 10000),
            }
        ],
        "active": True,
        "name": [human_name(who)],
        "gender": who.gender,
        "birthDate": born.isoformat(),
        "address": [
            {
                "use": "home",
                "text": f"{chance.randrange(1, 999)} Example Street\n{city}, IL {postal_code}\nUS",
                "city": city,
                "state": "IL",
                "postalCode": postal_code,
                "country": "US",
            }
        ],
    }
    if telecom := _patient_telecom(chance, who, id_):
        resource["telecom"] = telecom
    if chance.random() < 0.93:  # noqa: PLR2004 (a share of patients, as the ones below)
        resource["communication"] = [communication(tenant, _language(chance))]
    if is_merged(id_):
        resource["active"] = False
        resource["link"] = [{"other": {"reference": f"Patient/{int(id_) - 1}"}, "type": "replaced-by"}]
    return resource


@lru_cache(maxsize=_CACHED)
def practitioner_resource(seed: int, tenant: str, id_: str) -> dict[str, Any]:
    """Return the Practitioner; it is shared, so callers must not change it."""
    who = person(seed, tenant, "Practitioner", id_)
    number = int(id_) - _FIRST_PRACTITIONER
    return {
        "resourceType": "Practitioner",
        "id": id_,
        "meta": {"versionId": "2", "lastUpdated": "2025-06-11T08:30:00.000Z"},
        "text": narrative("Practitioner", who),
        "extension": [
            {"url": "https://fhir-ehr.cerner.com/r4/StructureDefinition/is-physician", "valueBoolean": number % 4 != 0}
        ],
        "identifier": [{"use": "usual", "system": NPI_SYSTEM, "value": str(9990000000 + number)}],
        "active": True,
        "name": [human_name(who)],
        "telecom": [
            {"system": "email", "value": f"{who.given}.{who.family}.{number}@example.org".lower(), "use": "work"}
        ],
        "gender": who.gender,
    }


def narrative(kind: str, who: Person) -> dict[str, str]:
    """Return the text of a resource, as a reader would see it."""
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p><b>{kind}</b></p><p><b>Name</b>: {escape(who.display)}</p></div>',
    }


def human_name(who: Person) -> dict[str, Any]:
    """Return a name in its parts."""
    return {"use": "official", "text": who.display, "family": who.family, "given": [who.given]}


def _patient_telecom(chance: Random, who: Person, id_: str) -> list[dict[str, Any]]:
    """Phones are free text in Millennium: with and without country code, brackets and dashes. All are 555-01xx."""
    found: list[dict[str, Any]] = []
    if chance.random() < 0.92:  # noqa: PLR2004
        found.append({"system": "phone", "value": _phone(chance), "use": "mobile"})
    if chance.random() < 0.4:  # noqa: PLR2004
        found.append({"system": "phone", "value": _phone(chance), "use": "home"})
    if chance.random() < 0.8:  # noqa: PLR2004
        found.append({"system": "email", "value": f"{who.given}.{who.family}.{id_}@example.com".lower(), "use": "home"})
    return found


def _phone(chance: Random) -> str:
    area, line = chance.choice(_AREA_CODES), f"01{chance.randrange(100):02}"
    return chance.choice(
        (f"{area}555{line}", f"({area}) 555-{line}", f"{area}-555-{line}", f"+1 {area} 555 {line}", f"1{area}555{line}")
    )


def all_phones() -> list[str]:
    """Return every phone that a patient of the population may have, in E.164."""
    return [f"+1{area}55501{line:02}" for area in _AREA_CODES for line in range(100)]


def _language(chance: Random) -> str:
    return chance.choices(_LANGUAGES, weights=[weight for _, _, weight in _LANGUAGES])[0][0]


def communication(tenant: str, language: str) -> dict[str, Any]:
    """Return a patient's language, given by its BCP 47 code; Millennium's own code stands before it."""
    known = {code: (str(number), display) for number, (code, display, _) in enumerate(_LANGUAGES, start=151)}
    number, display = known.get(language.partition("-")[0], ("150", language))
    return {
        "language": {
            "coding": [
                {
                    "system": f"https://fhir.cerner.com/{tenant}/codeSet/36",
                    "code": number,
                    "display": display,
                    "userSelected": True,
                },
                {"system": "urn:ietf:bcp:47", "code": language, "display": display},
            ],
            "text": display,
        },
        "preferred": True,
    }
