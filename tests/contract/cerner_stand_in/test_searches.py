"""Searches: what they need, what they find, and in which order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from contract.cerner_stand_in.running import (
    CLINICS,
    EVERYTHING,
    CernerStandIn,
    ids_of,
    links_of,
    outcome_of,
)

CLINIC = ("location", "21304876")
FROM = ("date", "ge2026-11-18T00:00:00Z")
UNTIL = ("date", "lt2026-11-19T00:00:00Z")
ONCE = "Appointment?location=21304876&date="


def pairs(query: str) -> list[tuple[str, str]]:
    """Split a query as it is written: here `+` is a plus."""
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]


@pytest.mark.parametrize(
    ("search", "code"),
    [
        ("Appointment?", "required"),
        ("Appointment?_lastUpdated=gt2026-11-01", "required"),
        ("Appointment?_count=5", "required"),
        ("Appointment?status=booked", "required"),
        ("Appointment?date=ge2026-11-18T00:00:00Z", "required"),
        ("Appointment?location=21304876", "required"),
        ("Appointment?patient=12724000&status=booked", "required"),
        ("Appointment?patient=12724000&location=21304876&date=ge2026-11-18T00:00:00Z", "invalid"),
        ("Appointment?patient=12724000&patient=12724001&date=ge2026-11-18T00:00:00Z", "invalid"),
        ("Appointment?patient=Practitioner/4122600&date=ge2026-11-18T00:00:00Z", "invalid"),
        ("Appointment?patient=&date=ge2026-11-18T00:00:00Z", "invalid"),
        ("Appointment?_id=4817000&location=21304876", "invalid"),
        (f"{ONCE}2026-11-18", "invalid"),
        (f"{ONCE}2026-11-18T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-18", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00", "invalid"),
        (f"{ONCE}eq2026-11-18T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-13-18T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00 00:00", "invalid"),
        (f"{ONCE}getomorrow", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&date=le2026-11-19T00:00:00Z", "invalid"),
        (f"{ONCE}gt2026-11-18T00:00:00Z&date=lt2026-11-19T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&date=ge2026-11-19T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-19T00:00:00Z&date=lt2026-11-18T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&date=lt2026-11-19T00:00:00Z&date=lt2026-11-20T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&-date-or-req-period=lt2026-11-19T00:00:00Z", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&status=booked,late", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&_count=0", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&_count=-1", "invalid"),
        (f"{ONCE}ge2026-11-18T00:00:00Z&_count=many", "invalid"),
        ("Patient?", "required"),
        ("Patient?gender=male", "required"),
        ("Patient?_id=12724000&name=Te", "invalid"),
        ("Patient?name=Te&name=Ex", "invalid"),
        ("Patient?birthdate=1990-01-01T00:00:00Z", "invalid"),
        ("Patient?birthdate=ne1990-01-01", "invalid"),
        ("Patient?birthdate=gt1990-01-01&birthdate=lt1991-01-01", "invalid"),
        ("Patient?identifier=urn:oid:1.1.1.1.1.1|", "invalid"),
        ("Practitioner?", "required"),
        ("Practitioner?given=Testa", "invalid"),
        ("Practitioner?name=T", "invalid"),
        ("Practitioner?identifier=9990000001", "invalid"),
        ("Practitioner?active=yes", "invalid"),
        ("Location?", "required"),
        ("Location?address-city=Springfield", "invalid"),
        ("Location?-physicalType=https://fhir.cerner.com/x/codeSet/222|783", "invalid"),
    ],
)
async def test_a_search_without_what_it_needs_is_refused(cerner: CernerStandIn, search: str, code: str) -> None:
    path, _, query = search.partition("?")

    assert outcome_of(await cerner.get(path, pairs(query))) == (400, code)


@pytest.mark.parametrize(
    ("search", "ids"),
    [
        ("Location?_id=21304877,21304876,1", ["21304877", "21304876"]),
        ("Location?-physicalType=si", ["21304870"]),
        ("Location?-physicalType=http://terminology.hl7.org/CodeSystem/location-physical-type|si", ["21304870"]),
        ("Location?name=campus", ["21304878"]),
        ("Location?name=FM", ["21304877"]),
        ("Location?address-state=IL&address-city=northtown", ["21304878", "21304880"]),
        ("Location?address=62702", ["21304877"]),
        ("Location?address-postalcode=62702", ["21304877"]),
        ("Location?organization=13971625&name=clinic", ["21304876"]),
        ("Location?organization=1", []),
        ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9990000003", ["4122603"]),
        ("Practitioner?identifier=urn:oid:1|9990000003", []),
        ("Practitioner?active=false", []),
        ("Patient?identifier=10007", ["12724007"]),
        ("Patient?identifier=urn:oid:1.1.1.1.1.1|10007", ["12724007"]),
        ("Patient?identifier=urn:oid:2|10007", []),
        ("Patient?_id=12724007", ["12724007"]),
        ("Patient?email=nobody@example.com", []),
    ],
)
async def test_a_search_finds_what_fits(cerner: CernerStandIn, search: str, ids: list[str]) -> None:
    path, _, query = search.partition("?")
    answer = await cerner.get(path, pairs(query))

    assert answer.status_code == 200
    assert ids_of(answer.json()) == ids


@pytest.mark.parametrize("parameter", ["family", "given", "name", "name:exact", "birthdate", "phone", "email"])
async def test_a_patient_is_found_by_every_trait(cerner: CernerStandIn, parameter: str) -> None:
    everyone = [resource for resource in await cerner.everything() if resource["resourceType"] == "Patient"]
    patient = next(one for one in everyone if one["active"] and len(one.get("telecom", ())) == 3)
    telecom = {entry["system"]: entry["value"] for entry in patient["telecom"]}
    value = {
        "family": patient["name"][0]["family"][:4].upper(),
        "given": patient["name"][0]["given"][0],
        "name": patient["name"][0]["family"],
        "name:exact": patient["name"][0]["family"],
        "birthdate": patient["birthDate"],
    } | telecom
    pages = await cerner.walk("Patient", [(parameter, value[parameter]), ("_count", "100")])

    found = {id_ for page in pages for id_ in ids_of(page)}
    assert patient["id"] in found
    assert len(found) < len(everyone) / 2


async def test_exact_names_heed_case_and_length(cerner: CernerStandIn) -> None:
    [none] = await cerner.walk("Patient", [("family:exact", "sampleton")])
    some = await cerner.walk("Patient", [("family:exact", "Sampleton"), ("_count", "100")])

    assert ids_of(none) == []
    assert {entry["resource"]["name"][0]["family"] for page in some for entry in page["entry"]} == {"Sampleton"}


@pytest.mark.parametrize(
    ("bounds", "ok"), [(["ge1980-01-01", "le1980-12-31"], "1980"), (["eq1980-01-01"], "1980-01-01")]
)
async def test_birthdates_are_searched_by_range(cerner: CernerStandIn, bounds: list[str], ok: str) -> None:
    pages = await cerner.walk("Patient", [("birthdate", bound) for bound in bounds])

    assert all(entry["resource"]["birthDate"].startswith(ok) for page in pages for entry in page.get("entry", ()))


async def test_appointments_come_by_start(cerner: CernerStandIn) -> None:
    pages = await cerner.walk("Appointment", [("location", CLINICS), FROM, UNTIL])

    starts = [entry["resource"]["start"] for page in pages for entry in page["entry"]]
    assert len(starts) > 20
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("location", "Location/21304877"), ("practitioner", "Practitioner/4122605"), ("patient", "Patient/12724011")],
)
@pytest.mark.parametrize("written", ["id", "reference"])
async def test_appointments_are_found_by_who_and_where(
    cerner: CernerStandIn, name: str, reference: str, written: str
) -> None:
    value = reference if written == "reference" else reference.partition("/")[2]
    pages = await cerner.walk("Appointment", [(name, value), *EVERYTHING])

    found = [entry["resource"] for page in pages for entry in page["entry"]]
    assert found
    for appointment in found:
        assert reference in {participant["actor"]["reference"] for participant in appointment["participant"]}


async def test_a_list_of_locations_finds_the_appointments_of_each(cerner: CernerStandIn) -> None:
    found: list[set[str]] = []
    for locations in ("21304877", "21304878", "21304877,21304878"):
        pages = await cerner.walk("Appointment", [("location", locations), FROM, UNTIL, ("_count", "100")])
        found.append({id_ for page in pages for id_ in ids_of(page)})

    assert found[0] | found[1] == found[2]
    assert found[0]
    assert found[1]


async def test_an_appointment_that_crosses_a_bound_is_in_neither_of_two_adjoining_spans(cerner: CernerStandIn) -> None:
    [page] = await cerner.walk("Appointment", [CLINIC, FROM, UNTIL, ("status", "booked"), ("_count", "100")])
    crossing = page["entry"][3]["resource"]
    middle = datetime.fromisoformat(crossing["start"]) + timedelta(minutes=5)
    bound = f"{middle:%Y-%m-%dT%H:%M:%SZ}"
    [before] = await cerner.walk("Appointment", [CLINIC, FROM, ("date", f"lt{bound}"), ("_count", "100")])
    [after] = await cerner.walk("Appointment", [CLINIC, ("date", f"ge{bound}"), UNTIL, ("_count", "100")])

    assert ids_of(before)
    assert ids_of(after)
    assert crossing["id"] not in {*ids_of(before), *ids_of(after)}


@pytest.mark.parametrize(("parameter", "proposed"), [("date", False), ("-date-or-req-period", True)])
async def test_proposed_appointments_are_found_only_by_the_requested_period(
    cerner: CernerStandIn, parameter: str, proposed: bool
) -> None:
    span = [(parameter, "ge2026-11-18T00:00:00Z"), (parameter, "lt2026-12-18T00:00:00Z")]
    pages = await cerner.walk("Appointment", [("location", CLINICS), *span, ("_count", "100")])

    found = [entry["resource"] for page in pages for entry in page["entry"]]
    assert any(appointment["status"] == "proposed" for appointment in found) is proposed
    assert all("start" in appointment or appointment["status"] == "proposed" for appointment in found)


async def test_only_the_statuses_that_are_asked_for_are_found(cerner: CernerStandIn) -> None:
    pages = await cerner.walk("Appointment", [("location", CLINICS), *EVERYTHING, ("status", "noshow,cancelled")])

    statuses = {entry["resource"]["status"] for page in pages for entry in page["entry"]}
    assert statuses == {"noshow", "cancelled"}


@pytest.mark.parametrize(
    "bound",
    ["ge2026-11-20T00:00:00Z", "gt2026-11-19T18:00:00-06:00", "lt2026-11-20T00:00Z", "le2026-11-20T00:00:00.000Z"],
)
async def test_a_date_may_be_given_once_and_leave_the_other_side_open(cerner: CernerStandIn, bound: str) -> None:
    pages = await cerner.walk("Appointment", [("location", CLINICS), ("date", bound), ("_count", "100")])

    starts = [entry["resource"]["start"][:10] for page in pages for entry in page["entry"]]
    assert starts
    assert all((start >= "2026-11-20") is bound.startswith("g") for start in starts)


async def test_count_is_not_heeded_with_ids(cerner: CernerStandIn) -> None:
    answer = await cerner.get("Appointment", [("_id", "4817001,4817000,4817001"), ("_count", "1")])

    assert ids_of(answer.json()) == ["4817001", "4817000"]
    assert set(links_of(answer.json())) == {"self"}


async def test_what_is_not_supported_is_ignored_and_missing_from_the_self_link(cerner: CernerStandIn) -> None:
    items = [CLINIC, FROM, UNTIL, ("_count", "100")]
    plain = (await cerner.get("Appointment", items)).json()
    more = (await cerner.get("Appointment", [*items, ("_include", "Appointment:patient")])).json()

    assert ids_of(plain) == ids_of(more)
    assert links_of(plain)["self"] == links_of(more)["self"]


@pytest.mark.parametrize("path", ["Appointment/1", "Patient/1", "Location/1", "Practitioner/1", "Nothing/1", "a/b/c"])
async def test_what_does_not_exist_is_not_found(cerner: CernerStandIn, path: str) -> None:
    assert (await cerner.get(path)).status_code == 404
