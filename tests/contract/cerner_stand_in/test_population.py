"""Everything that the simulator answers is valid FHIR R4, and the same for the same seed and day."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from contract.cerner_stand_in.running import (
    NOON,
    OTHER_TENANT,
    RESOURCES,
    TENANT,
    CernerStandIn,
    Clock,
    Starter,
)
from fhir.resources.R4B import get_fhir_model_class


def by_type(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource for resource in resources if resource["resourceType"] == kind]


def validate(resource: dict[str, Any]) -> None:
    """Raise unless the resource is valid and says nothing that the standard does not know."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


async def test_every_resource_is_valid_fhir(cerner: CernerStandIn) -> None:
    everything = await cerner.everything()

    for resource in everything:
        validate(resource)
    assert Counter(resource["resourceType"] for resource in everything) == {
        "Appointment": 2000,
        "Encounter": 2000 - sum(resource.get("status") == "proposed" for resource in everything),
        "Patient": 300,
        "Practitioner": 20,
        "Location": 6,
    }


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("metadata", "CapabilityStatement"),
        ("Location?_id=21304876", "Bundle"),
        ("Location?_id=1", "Bundle"),
        ("Practitioner?active=true&_count=3", "Bundle"),
        ("Appointment", "OperationOutcome"),
        ("Appointment/1", "OperationOutcome"),
        ("Encounter/1", "OperationOutcome"),
    ],
)
async def test_every_kind_of_answer_is_valid_fhir(cerner: CernerStandIn, path: str, kind: str) -> None:
    path, _, query = path.partition("?")
    answer = await cerner.get(path, httpx.QueryParams(query).multi_items())

    validate(answer.json())
    assert answer.json()["resourceType"] == kind
    assert answer.headers["content-type"] == "application/fhir+json"


async def test_the_population_page_counts_what_can_be_read(cerner: CernerStandIn) -> None:
    everything = await cerner.everything()
    counts = (await cerner.http.get("/_sandbox/population")).json()

    appointments = by_type(everything, "Appointment")
    assert {kind: counts[f"{kind.lower()}s"] for kind in RESOURCES} == {
        kind: len(by_type(everything, kind)) for kind in RESOURCES
    }
    assert counts["appointmentsByStatus"] == Counter(appointment["status"] for appointment in appointments)
    assert counts["videoVisits"] == sum(
        appointment["serviceType"][0]["text"] == "Video Visit" for appointment in appointments
    )


async def test_the_same_seed_and_day_give_the_same_population(start_cerner: Starter, clock: Clock) -> None:
    first = await (await start_cerner(seed=7)).everything()
    clock.advance(hours=6)
    second = await (await start_cerner(seed=7)).everything()

    assert first == second


@pytest.mark.parametrize("kind", ["Appointment", "Patient", "Practitioner"])
async def test_another_seed_gives_another_population(start_cerner: Starter, kind: str) -> None:
    first = await (await start_cerner(seed=1)).everything()
    second = await (await start_cerner(seed=2)).everything()

    assert by_type(first, kind) != by_type(second, kind)


async def test_another_day_gives_other_appointments_of_the_same_people(start_cerner: Starter, clock: Clock) -> None:
    first = await (await start_cerner()).everything()
    clock.advance(days=1)
    second = await (await start_cerner()).everything()

    assert by_type(first, "Patient") == by_type(second, "Patient")
    assert by_type(first, "Appointment") != by_type(second, "Appointment")


async def test_the_same_id_is_another_person_at_another_tenant(cerner: CernerStandIn) -> None:
    here = by_type(await cerner.everything(TENANT), "Patient")
    there = by_type(await cerner.everything(OTHER_TENANT), "Patient")

    assert [patient["id"] for patient in here] == [patient["id"] for patient in there]
    same = sum(one["name"] == other["name"] for one, other in zip(here, there, strict=True))
    assert same < len(here) / 20


async def test_appointments_name_people_and_places_that_can_be_read(cerner: CernerStandIn) -> None:
    everything = await cerner.everything()

    known = {f"{resource['resourceType']}/{resource['id']}": resource for resource in everything}
    for appointment in by_type(everything, "Appointment"):
        actors = [participant["actor"] for participant in appointment["participant"]]
        outside = [actor for actor in actors if not actor["reference"].startswith("#")]
        assert len(outside) == 3
        for actor in outside:
            name = known[actor["reference"]]["name"]
            assert actor["display"] == (name if isinstance(name, str) else name[0]["text"])


async def test_appointments_lie_before_and_after_now_and_many_are_video_visits(cerner: CernerStandIn) -> None:
    appointments = by_type(await cerner.everything(), "Appointment")

    starts = [datetime.fromisoformat(appointment["start"]) for appointment in appointments if "start" in appointment]
    assert min(starts) < NOON - timedelta(days=7)
    assert max(starts) > NOON + timedelta(days=14)
    assert sum(appointment["description"] == "Video Visit" for appointment in appointments) > 600


@pytest.mark.parametrize("hour", [0, 4, 9, 14, 19, 23])
async def test_at_any_hour_a_video_visit_at_the_first_clinic_begins_within_six_hours(
    cerner: CernerStandIn, hour: int
) -> None:
    now = NOON.replace(hour=hour)
    span = [("date", f"ge{now:%Y-%m-%dT%H:%M:%SZ}"), ("date", f"lt{now + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}")]
    [page] = await cerner.walk("Appointment", [("location", "21304876"), ("status", "booked"), *span])

    assert "Video Visit" in {entry["resource"]["serviceType"][0]["text"] for entry in page["entry"]}


async def test_no_practitioner_has_two_appointments_at_a_time(cerner: CernerStandIn) -> None:
    times = Counter(
        (appointment["participant"][0]["actor"]["reference"], appointment["requestedPeriod"][0]["start"])
        for appointment in by_type(await cerner.everything(), "Appointment")
    )

    assert set(times.values()) == {1}


async def test_links_of_another_product_list_the_patients_room_first(cerner: CernerStandIn) -> None:
    linked = [
        appointment for appointment in by_type(await cerner.everything(), "Appointment") if "contained" in appointment
    ]

    assert len(linked) > 10
    for appointment in linked:
        rooms = [room["type"][0]["text"] for room in appointment["contained"]]
        assert rooms == ["Patient Virtual Meeting Room", "Provider Virtual Meeting Room"]
        assert "-" in appointment["meta"]["versionId"]


async def test_patients_differ_in_what_can_be_reached_and_how_it_is_written(cerner: CernerStandIn) -> None:
    patients = by_type(await cerner.everything(), "Patient")

    phones = [
        entry["value"] for patient in patients for entry in patient.get("telecom", ()) if entry["system"] == "phone"
    ]
    assert {"(", "+", "1", "2"} <= {phone[0] for phone in phones}
    assert all("55501" in "".join(filter(str.isdigit, phone)) for phone in phones)
    assert any("telecom" not in patient for patient in patients)
    assert any("communication" not in patient for patient in patients)
    languages = {
        patient["communication"][0]["language"]["coding"][1]["code"]
        for patient in patients
        if "communication" in patient
    }
    assert {"en", "es"} <= languages


async def test_a_merged_patient_is_inactive_and_names_the_one_that_is_left(cerner: CernerStandIn) -> None:
    merged = [patient for patient in by_type(await cerner.everything(), "Patient") if not patient["active"]]

    assert len(merged) == 4
    for patient in merged:
        kept = (await cerner.get(patient["link"][0]["other"]["reference"])).json()
        assert kept["active"] is True
        found = await cerner.walk("Patient", [("identifier", patient["identifier"][0]["value"])])
        assert "entry" not in found[0]


async def test_a_read_tells_the_version(cerner: CernerStandIn) -> None:
    answer = await cerner.get("Location/21304876")

    assert answer.headers["etag"] == f'W/"{answer.json()["meta"]["versionId"]}"'
    assert answer.headers["last-modified"] == "Mon, 05 Feb 2024 16:12:00 GMT"
