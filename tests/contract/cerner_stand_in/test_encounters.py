"""A launch names patient and encounter; from there the appointment is found."""

from __future__ import annotations

import pytest
from contract.cerner_stand_in.running import TENANT, CernerStandIn, ids_of, outcome_of
from fhir.resources.R4B.encounter import Encounter


async def booked_encounter(cerner: CernerStandIn, kind: str) -> tuple[str, str]:
    """Return the ids of a new appointment and of its encounter."""
    body = {
        "tenant": TENANT,
        "patient": "12724001",
        "practitioner": "4122600",
        "location": "21304876",
        "start": "2026-11-18T15:00:00Z",
        "encounter": kind,
    }
    answer = await cerner.control("POST", "appointments", body, 201)
    return answer["id"], answer["encounter"]


async def test_an_encounter_names_its_appointment(cerner: CernerStandIn) -> None:
    appointment, encounter = await booked_encounter(cerner, "linked")
    answer = await cerner.get(f"Encounter/{encounter}")

    Encounter.model_validate(answer.json())
    assert answer.json()["appointment"] == [{"reference": f"Appointment/{appointment}"}]
    assert answer.json()["subject"]["reference"] == "Patient/12724001"
    assert answer.headers["etag"] == 'W/"0"'


async def test_some_encounters_name_none(cerner: CernerStandIn) -> None:
    _, encounter = await booked_encounter(cerner, "unlinked")
    answer = await cerner.get(f"Encounter/{encounter}")

    Encounter.model_validate(answer.json())
    assert "appointment" not in answer.json()


async def test_an_appointment_may_have_no_encounter(cerner: CernerStandIn) -> None:
    appointment, encounter = await booked_encounter(cerner, "none")

    assert encounter is None
    assert outcome_of(await cerner.get(f"Encounter/9{appointment}")) == (404, "not-found")


async def test_the_population_has_both_kinds(cerner: CernerStandIn) -> None:
    found = [resource for resource in await cerner.everything() if resource["resourceType"] == "Encounter"]

    named = sum("appointment" in encounter for encounter in found)
    assert 0.7 < named / len(found) < 0.9


@pytest.mark.parametrize("parameter", ["patient", "subject"])
async def test_a_patients_encounters_are_found(cerner: CernerStandIn, parameter: str) -> None:
    _, encounter = await booked_encounter(cerner, "linked")
    answer = await cerner.get("Encounter", [(parameter, "Patient/12724001"), ("_count", "100")])

    assert encounter in ids_of(answer.json())
    subjects = {entry["resource"]["subject"]["reference"] for entry in answer.json()["entry"]}
    assert subjects == {"Patient/12724001"}


async def test_a_search_is_narrowed_by_day_and_status(cerner: CernerStandIn) -> None:
    _, encounter = await booked_encounter(cerner, "linked")
    day = [("date", "ge2026-11-18T14:59:00Z"), ("date", "lt2026-11-18T15:01:00Z")]
    planned = await cerner.get("Encounter", [("patient", "12724001"), *day, ("status", "planned")])
    finished = await cerner.get("Encounter", [("patient", "12724001"), *day, ("status", "finished")])
    by_id = await cerner.get("Encounter", [("_id", encounter)])

    assert ids_of(planned.json()) == ids_of(by_id.json()) == [encounter]
    assert ids_of(finished.json()) == []


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([], "required"),
        ([("status", "planned")], "required"),
        ([("patient", "1"), ("subject", "1")], "invalid"),
        ([("_id", "1"), ("patient", "1")], "invalid"),
    ],
)
async def test_a_search_without_what_it_needs_is_refused(
    cerner: CernerStandIn, items: list[tuple[str, str]], code: str
) -> None:
    assert outcome_of(await cerner.get("Encounter", items)) == (400, code)


@pytest.mark.parametrize(
    ("status", "shown"),
    [("booked", "planned"), ("arrived", "arrived"), ("checked-in", "in-progress"), ("cancelled", "cancelled")],
)
async def test_an_encounter_goes_along_with_its_appointment(cerner: CernerStandIn, status: str, shown: str) -> None:
    appointment, encounter = await booked_encounter(cerner, "linked")
    await cerner.control("PATCH", f"appointments/{appointment}", {"status": status})

    assert (await cerner.get(f"Encounter/{encounter}")).json()["status"] == shown
