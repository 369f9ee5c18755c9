"""What each search finds, and which parameters it needs together.

Source: Cerner's R4 pages "Appointment", "Encounter", "Patient", "Practitioner" and "Location", section "Parameters".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ehr_sandbox.cerner.bookings import Booking
from ehr_sandbox.cerner.encounters import encounter_id
from ehr_sandbox.cerner.errors import invalid, missing
from ehr_sandbox.cerner.people import is_merged
from ehr_sandbox.cerner.population import Population
from ehr_sandbox.cerner.query import NO_PARAMETERS, DateRange, Query

_APPOINTMENT_STATUSES = frozenset(
    {"proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error", "checked-in", "waitlist"}
)  # fmt: skip
_DEFAULT_COUNTS = {"Patient": 20, "Location": 100}
_USUAL_COUNT = 50
_SHORTEST_NAME = 2

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """The ids that a search found, in order, and the size of a page; None when `_id` was asked for: then there is one page."""

    ids: tuple[str, ...]
    page_size: int | None


@dataclass(frozen=True, slots=True)
class Search:
    """The search of one resource type."""

    parameters: dict[str, str]
    """Each parameter's FHIR type."""
    find: Callable[[Population, str, Query], Iterable[str]]
    """Given population, tenant and query: the ids that are found when `_id` is not asked for."""


def search(population: Population, tenant: str, kind: str, items: Iterable[tuple[str, str]]) -> tuple[Found, Query]:
    """Return what is found, and the parameters that were used.

    Raises:
        FhirError: The parameters are not what the resource needs.
    """
    query = Query(items, SEARCHES[kind].parameters)
    wanted = query.listed("_id")
    if wanted is None:
        ids = tuple(SEARCHES[kind].find(population, tenant, query))
        return Found(ids, query.count(_DEFAULT_COUNTS.get(kind, _USUAL_COUNT))), query
    if others := sorted({name for name, _ in query.items} - {"_id", "_count"}):
        raise invalid(f"Parameter '_id' may not be used in combination with {', '.join(others)}")
    known = set(population.ids(tenant, kind))
    return Found(tuple(id_ for id_ in dict.fromkeys(wanted) if id_ in known), None), query


def _appointments(population: Population, tenant: str, query: Query) -> Iterable[str]:
    asked: dict[str, list[str]] = {}
    for name, kind in (("patient", "Patient"), ("practitioner", "Practitioner"), ("location", "Location")):
        if (wanted := query.references(name, kind)) is not None:
            asked[name] = wanted
    if len(asked) > 1:
        raise invalid(f"Parameters {', '.join(asked)} may not be used in combination")
    if not asked:
        raise missing("One of the parameters _id, patient, practitioner, location must be provided")
    date, either = query.time_range("date"), query.time_range("-date-or-req-period")
    if date is not None and either is not None:
        raise invalid("Parameters date and -date-or-req-period may not be used in combination")
    span = date or either
    if span is None:
        raise missing("Parameter date or -date-or-req-period must be provided with patient, practitioner or location")
    statuses = query.listed("status")
    if statuses is not None and (unknown := sorted(set(statuses) - _APPOINTMENT_STATUSES)):
        raise invalid(f"Parameter 'status' has unknown values: {', '.join(unknown)}")
    name, ids = next(iter(asked.items()))
    hits = [
        booking
        for booking in population.schedule.all(tenant)
        if getattr(booking, f"{name}_id") in ids
        and (statuses is None or booking.status in statuses)
        and _in_span(booking, span, with_proposed=either is not None)
    ]
    hits.sort(key=lambda booking: (booking.requested[0], ids.index(getattr(booking, f"{name}_id")), booking.id))
    return (booking.id for booking in hits)


def _in_span(booking: Booking, span: DateRange, *, with_proposed: bool) -> bool:
    """An appointment must start and end in the span, so one that crosses a bound is in neither of two adjoining spans."""
    first, last = booking.requested
    if booking.status == "proposed":
        return with_proposed and (span.holds(first) or span.holds(last))
    return span.holds(first) and span.holds(last)


def _patients(population: Population, tenant: str, query: Query) -> Iterable[str]:
    born = query.day_range("birthdate")
    tests: list[Callable[[Resource], bool]] = []
    if born is not None:
        tests.append(lambda patient: born.holds(datetime.fromisoformat(patient["birthDate"]).replace(tzinfo=UTC)))
    for name in ("name", "family", "given"):
        tests += _name_tests(query, name)
    if (value := query.once("identifier")) is not None:
        tests.append(_identifier_test(value, system_needed=False))
    if (value := query.once("phone")) is not None:
        tests.append(_telecom_test("phone", _digits(value), _digits))
    if (value := query.once("email")) is not None:
        tests.append(_telecom_test("email", value.lower(), str.lower))
    if (value := query.once("address-postalcode")) is not None:
        tests.append(_address_test("postalCode", value))
    gender = query.once("gender")
    if not tests:
        raise missing("Parameter gender may be provided only together with another one") if gender else NO_PARAMETERS
    if gender is not None:
        tests.append(lambda patient: patient["gender"] == gender)
    live = (id_ for id_ in population.ids(tenant, "Patient") if not is_merged(id_))
    return _matching(population, tenant, "Patient", live, tests)


def _practitioners(population: Population, tenant: str, query: Query) -> Iterable[str]:
    tests: list[Callable[[Resource], bool]] = []
    if (value := query.once("identifier")) is not None:
        tests.append(_identifier_test(value, system_needed=True))
    if query.once("given") is not None and query.once("family") is None:
        raise invalid("Parameter given may be provided only together with family")
    value = query.once("name")
    if value is not None and len(value) < _SHORTEST_NAME:
        raise invalid(f"Parameter name must have at least {_SHORTEST_NAME} characters")
    for name in ("name", "family", "given"):
        tests += _name_tests(query, name)
    active = query.once("active")
    if active is not None:
        if active not in {"true", "false"}:
            raise invalid("Parameter active must be true or false")
        tests.append(lambda practitioner: practitioner["active"] is (active == "true"))
    return _matching(population, tenant, "Practitioner", population.ids(tenant, "Practitioner"), tests)


def _locations(population: Population, tenant: str, query: Query) -> Iterable[str]:
    tests: list[Callable[[Resource], bool]] = []
    if (kind := query.once("-physicalType")) is not None:
        tests.append(_physical_type_test(kind))
    if (value := query.once("name")) is not None:
        part = value.lower()
        tests.append(lambda place: any(part in name.lower() for name in (place["name"], *place["alias"])))
    if (value := query.once("organization")) is not None:
        reference = f"Organization/{value.removeprefix('Organization/')}"
        tests.append(lambda place: place["managingOrganization"]["reference"] == reference)
    if query.once("address-city") and not (query.once("address-state") or query.once("address-postalcode")):
        raise invalid("Parameter address-city needs address-state or address-postalcode")
    for name, element in (
        ("address", "text"),
        ("address-city", "city"),
        ("address-state", "state"),
        ("address-postalcode", "postalCode"),
    ):
        if (value := query.once(name)) is not None:
            tests.append(_address_test(element, value))
    return _matching(population, tenant, "Location", population.ids(tenant, "Location"), tests)


def _encounters(population: Population, tenant: str, query: Query) -> Iterable[str]:
    patient, subject = query.references("patient", "Patient"), query.references("subject", "Patient")
    if patient is not None and subject is not None:
        raise invalid("Parameters patient and subject may not be used in combination")
    wanted = patient if patient is not None else subject
    if wanted is None:
        raise missing("One of the parameters _id, patient, subject must be provided")
    span, statuses = query.time_range("date"), query.listed("status")
    bookings = [
        booking
        for booking in population.schedule.all(tenant)
        if booking.patient_id in wanted and (span is None or span.holds(booking.requested[0]))
    ]
    for booking in sorted(bookings, key=lambda booking: booking.requested[0], reverse=True):
        id_ = encounter_id(booking)
        encounter = None if id_ is None else population.resource(tenant, "Encounter", id_)
        if encounter is not None and (statuses is None or encounter["status"] in statuses):
            yield encounter["id"]


def _matching(
    population: Population, tenant: str, kind: str, ids: Iterable[str], tests: list[Callable[[Resource], bool]]
) -> list[str]:
    found: list[str] = []
    for id_ in ids:
        resource = population.resource(tenant, kind, id_)
        if resource is not None and all(test(resource) for test in tests):
            found.append(id_)
    return found


def _name_tests(query: Query, parameter: str) -> list[Callable[[Resource], bool]]:
    """Match the start of a name, whatever its case; with `:exact` the whole name."""

    def names(resource: Resource) -> list[str]:
        name: dict[str, Any] = resource["name"][0]
        family, given = [str(name["family"])], [str(part) for part in name["given"]]
        return {"family": family, "given": given}.get(parameter, family + given)

    tests: list[Callable[[Resource], bool]] = []
    if (start := query.once(parameter)) is not None:
        tests.append(lambda resource: any(name.lower().startswith(start.lower()) for name in names(resource)))
    if (exact := query.once(f"{parameter}:exact")) is not None:
        tests.append(lambda resource: exact in names(resource))
    return tests


def _identifier_test(value: str, *, system_needed: bool) -> Callable[[Resource], bool]:
    system, bar, code = value.rpartition("|")
    if not code or (system_needed and not (bar and system)):
        raise invalid(
            "Parameter identifier must include " + ("both a system and a code" if system_needed else "a code")
        )
    return lambda resource: any(
        entry["value"] == code and (not system or entry["system"] == system) for entry in resource["identifier"]
    )


def _telecom_test(system: str, wanted: str, normal: Callable[[str], str]) -> Callable[[Resource], bool]:
    return lambda resource: any(
        entry["system"] == system and normal(entry["value"]) == wanted for entry in resource.get("telecom", ())
    )


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _address_test(element: str, part: str) -> Callable[[Resource], bool]:
    def test(resource: Resource) -> bool:
        addresses: Any = resource["address"]
        entries: list[dict[str, str]] = [addresses] if isinstance(addresses, dict) else addresses
        return any(part.lower() in entry[element].lower() for entry in entries)

    return test


def _physical_type_test(value: str) -> Callable[[Resource], bool]:
    system, bar, code = value.rpartition("|")
    if "cerner.com" in system:
        raise invalid("Searching by Millennium proprietary codes is not supported")
    return lambda place: any(
        coding["code"] == code and (not bar or coding["system"] == system)
        for coding in place["physicalType"]["coding"][1:]
    )


SEARCHES = {
    "Appointment": Search(
        {
            "_id": "token",
            "_count": "number",
            "date": "date",
            "-date-or-req-period": "date",
            "patient": "reference",
            "practitioner": "reference",
            "location": "reference",
            "status": "token",
        },
        _appointments,
    ),
    "Encounter": Search(
        {
            "_id": "token",
            "_count": "number",
            "patient": "reference",
            "subject": "reference",
            "date": "date",
            "status": "token",
        },
        _encounters,
    ),
    "Location": Search(
        {
            "_id": "token",
            "_count": "number",
            "-physicalType": "token",
            "address": "string",
            "address-city": "string",
            "address-state": "string",
            "address-postalcode": "string",
            "name": "string",
            "organization": "reference",
        },
        _locations,
    ),
    "Patient": Search(
        {
            "_id": "token",
            "_count": "number",
            "identifier": "token",
            "name": "string",
            "name:exact": "string",
            "family": "string",
            "family:exact": "string",
            "given": "string",
            "given:exact": "string",
            "birthdate": "date",
            "phone": "token",
            "email": "token",
            "address-postalcode": "string",
            "gender": "token",
        },
        _patients,
    ),
    "Practitioner": Search(
        {
            "_id": "token",
            "_count": "number",
            "identifier": "token",
            "family": "string",
            "given": "string",
            "name": "string",
            "active": "token",
        },
        _practitioners,
    ),
}
"""The resource types that are served."""
