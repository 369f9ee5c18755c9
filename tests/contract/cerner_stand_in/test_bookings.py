"""The controls that book, move, plant and search."""

from __future__ import annotations

from typing import Any

import pytest
from contract.cerner_stand_in.running import (
    APPOINTMENT,
    OTHER_TENANT,
    TENANT,
    CernerStandIn,
    Starter,
    ids_of,
)
from fhir.resources.R4B.patient import Patient

CANARY: dict[str, Any] = {
    "tenant": TENANT,
    "given": "Canaria",
    "family": "O'Quill-Überfein & Søn",
    "gender": "female",
    "birthDate": "1931-07-09",
    "phone": "(217) 555-0199",
    "email": "canary-0815@example.com",
    "language": "es",
    "identifiers": [{"value": "MRN-CANARY-1"}, {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-00-1234"}],
}


async def refusal(cerner: CernerStandIn, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Return the status and the message of a control that cannot be carried out."""
    answer = await cerner.http.request(method, f"/_sandbox/{path}", json=body)
    return answer.status_code, answer.json()["error"]["message"]


async def test_a_booked_appointment_is_found_by_a_poll(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    span = [("date", "ge2026-11-18T15:00:00Z"), ("date", "lt2026-11-18T15:31:00Z")]
    found = await cerner.walk("Appointment", [("location", "21304876"), *span])

    assert appointment in [id_ for page in found for id_ in ids_of(page)]


async def test_a_booked_appointment_exists_at_its_tenant_alone(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()

    assert (await cerner.get(f"Appointment/{appointment}", tenant=OTHER_TENANT)).status_code == 404


async def test_an_appointment_moves_and_keeps_its_length(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    moved = await cerner.control("PATCH", f"appointments/{appointment}", {"start": "2026-11-19T09:00:00-06:00"})
    longer = await cerner.control("PATCH", f"appointments/{appointment}", {"durationMinutes": 60})

    assert (moved["start"], moved["end"]) == ("2026-11-19T15:00:00.000Z", "2026-11-19T15:30:00.000Z")
    assert (longer["start"], longer["end"]) == ("2026-11-19T15:00:00.000Z", "2026-11-19T16:00:00.000Z")
    shown = (await cerner.get(f"Appointment/{appointment}")).json()
    assert (shown["start"], shown["minutesDuration"]) == ("2026-11-19T15:00:00.000Z", 60)
    assert shown["meta"] == {"versionId": "2-0", "lastUpdated": "2026-11-18T12:00:00.000Z"}


async def test_all_else_changes_too(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    body = {
        "patient": "12724002",
        "practitioner": "4122601",
        "location": "21304877",
        "service": "Office Visit",
        "status": "noshow",
    }
    changed = await cerner.control("PATCH", f"appointments/{appointment}", body)

    assert {name: changed[name] for name in body} == body
    assert changed["version"] == "1"


async def test_a_lock_alone_makes_no_new_version(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    changed = await cerner.control("PATCH", f"appointments/{appointment}", {"locked": True})

    assert (changed["locked"], changed["version"]) == (True, "0-0")


async def test_the_truth_of_an_appointment_of_the_population_can_be_asked_for(cerner: CernerStandIn) -> None:
    shown = await cerner.control("GET", f"appointments/4817001?tenant={TENANT}")
    read = (await cerner.get("Appointment/4817001")).json()

    assert (shown["version"], shown["status"]) == (read["meta"]["versionId"], read["status"])
    assert shown["history"] == []


async def test_a_planted_patient_reads_as_planted(cerner: CernerStandIn) -> None:
    planted = (await cerner.control("POST", "patients", CANARY, 201))["id"]
    patient = (await cerner.get(f"Patient/{planted}")).json()

    Patient.model_validate(patient)
    assert patient["name"][0]["family"] == CANARY["family"]
    assert patient["birthDate"] == CANARY["birthDate"]
    assert [entry["value"] for entry in patient["telecom"]] == [CANARY["phone"], CANARY["email"]]
    assert [entry["value"] for entry in patient["identifier"]] == ["MRN-CANARY-1", "999-00-1234"]
    assert patient["communication"][0]["language"]["coding"][1]["code"] == "es"


async def test_a_planted_patient_needs_no_more_than_a_name(cerner: CernerStandIn) -> None:
    planted = await cerner.control("POST", "patients", {"tenant": TENANT, "given": "A", "family": "B"}, 201)
    patient = (await cerner.get(f"Patient/{planted['id']}")).json()

    Patient.model_validate(patient)
    assert {"telecom", "communication"}.isdisjoint(patient)


async def test_a_planted_patient_is_searched_and_booked_like_any_other(cerner: CernerStandIn) -> None:
    planted = (await cerner.control("POST", "patients", CANARY, 201))["id"]
    appointment = await cerner.book(patient=planted)
    found = await cerner.get("Patient", [("family", "O'Quill")])
    shown = (await cerner.get(f"Appointment/{appointment}")).json()

    assert ids_of(found.json()) == [planted]
    assert shown["participant"][1]["actor"]["display"] == f"{CANARY['family']}, {CANARY['given']}"


@pytest.mark.parametrize(
    "text", ["Canaria", "O'Quill-Überfein & Søn", "(217) 555-0199", "1931-07-09", "MRN-CANARY-1", "999-00-1234"]
)
async def test_what_is_planted_is_found_in_the_store_and_was_not_there_before(cerner: CernerStandIn, text: str) -> None:
    before = (await cerner.http.get("/_sandbox/search", params={"text": text})).json()
    planted = (await cerner.control("POST", "patients", CANARY, 201))["id"]
    after = (await cerner.http.get("/_sandbox/search", params={"text": text})).json()

    assert before == {"found": False, "where": []}
    assert {"tenant": TENANT, "resource": f"Patient/{planted}"} in after["where"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tenant": None}, "tenant: must be given"),
        ({"tenant": "nowhere"}, "tenant: there is none 'nowhere'"),
        ({"patient": "1"}, "patient: there is no Patient/1"),
        ({"practitioner": "1"}, "practitioner: there is no Practitioner/1"),
        ({"location": "1"}, "location: there is no Location/1"),
        ({"service": "Surgery"}, "service: must be one of Video Visit"),
        ({"start": "2026-11-18T15:00:00"}, "start: "),
        ({"durationMinutes": 0}, "durationMinutes: "),
        ({"status": "late"}, "status: "),
        ({"surprise": 1}, "surprise: "),
    ],
)
async def test_a_booking_that_cannot_be_is_refused_with_the_reason(
    cerner: CernerStandIn, changes: dict[str, Any], message: str
) -> None:
    status, said = await refusal(cerner, "POST", "appointments", APPOINTMENT | changes)

    assert status == 400
    assert message in said


async def test_the_tenant_need_not_be_said_where_there_is_one(start_cerner: Starter) -> None:
    cerner = await start_cerner(tenants=frozenset({TENANT}))
    body = {name: value for name, value in APPOINTMENT.items() if name != "tenant"}

    assert (await cerner.control("POST", "appointments", body, 201))["tenant"] == TENANT


async def test_what_is_not_there_is_not_found(cerner: CernerStandIn) -> None:
    status, _ = await refusal(cerner, "GET", f"appointments/1?tenant={TENANT}")

    assert status == 404
    assert (await refusal(cerner, "GET", "search"))[0] == 400
