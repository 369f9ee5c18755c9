"""A patch writes the links of a video visit or its status, and nothing else; each trap of the real server is here."""

from __future__ import annotations

from typing import Any

import pytest
from contract.cerner_stand_in.running import CLIENT, OTHER_TENANT, TENANT, CernerStandIn, outcome_of
from fhir.resources.R4B.appointment import Appointment

PROVIDER, PATIENT = "https://visits.example/v/provider", "https://visits.example/v/patient"
START, END = "2026-11-18T15:00:00.000Z", "2026-11-18T15:30:00.000Z"
PATHS = {
    "provider": "/contained/0/telecom/0/value",
    "patient": "/contained/1/telecom/0/value",
    "start": "/contained/0/telecom/0/period/start",
    "end": "/contained/0/telecom/0/period/end",
}


def links(op: str = "add", **changes: Any) -> list[dict[str, Any]]:
    """Return the four operations, with other values where they are given."""
    values = {"provider": PROVIDER, "patient": PATIENT, "start": START, "end": END} | changes
    return [{"op": op, "path": PATHS[name], "value": value} for name, value in values.items()]


def status(value: str) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "/status", "value": value}]


async def read(cerner: CernerStandIn, appointment: str, tenant: str = TENANT) -> dict[str, Any]:
    """Return the appointment as the FHIR interface shows it."""
    body = (await cerner.get(f"Appointment/{appointment}", tenant=tenant)).json()
    Appointment.model_validate(body)
    return body


async def test_links_are_written_provider_first_and_read_patient_first(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    answer = await cerner.patch(appointment, links())

    shown = await read(cerner, appointment)
    rooms = [(room["type"][0]["text"], room["telecom"][0]["value"]) for room in shown["contained"]]
    assert (answer.status_code, answer.content) == (200, b"")
    assert rooms == [("Patient Virtual Meeting Room", PATIENT), ("Provider Virtual Meeting Room", PROVIDER)]
    assert all(room["telecom"][0]["period"] == {"start": START, "end": END} for room in shown["contained"])


async def test_the_version_of_a_video_visit_has_two_numbers_and_the_answer_tells_the_new_one(
    cerner: CernerStandIn,
) -> None:
    appointment = await cerner.book()
    before = await cerner.get(f"Appointment/{appointment}")
    linked = await cerner.patch(appointment, links())
    moved = await cerner.patch(appointment, status("arrived"))

    assert [answer.headers["etag"] for answer in (before, linked, moved)] == ['W/"0-0"', 'W/"0-1"', 'W/"1-1"']


async def test_an_office_visit_has_a_version_of_one_number(cerner: CernerStandIn) -> None:
    appointment = await cerner.book(service="Office Visit")

    assert (await cerner.get(f"Appointment/{appointment}")).headers["etag"] == 'W/"0"'


async def test_links_are_added_once_and_replaced_from_then_on(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    too_early = await cerner.patch(appointment, links("replace"))
    first = await cerner.patch(appointment, links())
    again = await cerner.patch(appointment, links())
    replaced = await cerner.patch(appointment, links("replace", patient="https://visits.example/v/new"))

    assert outcome_of(too_early) == (422, "business-rule")
    assert first.status_code == 200
    assert outcome_of(again) == (409, "conflict")
    assert replaced.status_code == 200
    truth = await cerner.control("GET", f"appointments/{appointment}")
    assert truth["links"]["patient"] == "https://visits.example/v/new"


@pytest.mark.parametrize(
    "operations",
    [
        *(pytest.param([op for op in links() if op["path"] != path], id=f"no {path}") for path in PATHS.values()),
        pytest.param([*links()[:3], {**links()[3], "op": "replace"}], id="add and replace"),
        pytest.param(links("remove"), id="remove"),
        pytest.param(links("test"), id="test"),
        pytest.param([*links(), *status("arrived")], id="links and status"),
        pytest.param([*links(), links()[0]], id="a path twice"),
        pytest.param([{**links()[0], "path": "/contained/1/telecom/0/period/start"}], id="another path"),
        pytest.param([{"op": "replace", "path": "/description", "value": "x"}], id="another element"),
        pytest.param(links(patient="x" * 256), id="patient's link too long"),
        pytest.param(links(provider="x" * 256), id="provider's link too long"),
        pytest.param(links(patient=""), id="empty link"),
        pytest.param(links(patient=None), id="no text"),
        pytest.param(links(start="2026-11-18"), id="a day"),
        pytest.param(links(start="2026-11-18T15:00:00"), id="no offset"),
        pytest.param(links(start="soon"), id="no time"),
        pytest.param(links(end=START), id="ends when it starts"),
        pytest.param([{"op": "add", "path": "/status", "value": "arrived"}], id="add a status"),
        pytest.param([{"op": "replace", "path": "/status", "value": 1}], id="status no text"),
    ],
)
async def test_operations_that_do_not_belong_together_are_refused(
    cerner: CernerStandIn, operations: list[dict[str, Any]]
) -> None:
    appointment = await cerner.book()
    answer = await cerner.patch(appointment, operations)

    assert outcome_of(answer) == (422, "business-rule")
    truth = await cerner.control("GET", f"appointments/{appointment}")
    assert (truth["version"], truth["links"]) == ("0-0", None)


async def test_a_link_of_255_characters_is_taken(cerner: CernerStandIn) -> None:
    answer = await cerner.patch(await cerner.book(), links(patient="x" * 255, provider="y" * 255))

    assert answer.status_code == 200


async def test_links_are_for_video_visits_alone(cerner: CernerStandIn) -> None:
    answer = await cerner.patch(await cerner.book(service="Office Visit"), links())

    assert outcome_of(answer) == (422, "business-rule")


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"if_match": None}, (412, "required")),
        ({"if_match": 'W/"9-9"'}, (409, "conflict")),
        ({"if_match": "0-0"}, (409, "conflict")),
        ({"content_type": "application/json"}, (415, "not-supported")),
        ({"content_type": "application/fhir+json"}, (415, "not-supported")),
        ({"content_type": None}, (415, "not-supported")),
        ({"authorization": None}, (401, "login")),
    ],
)
async def test_a_patch_without_the_headers_it_needs_is_refused(
    cerner: CernerStandIn, headers: dict[str, Any], refusal: tuple[int, str]
) -> None:
    answer = await cerner.patch(await cerner.book(), links(), **headers)

    assert outcome_of(answer) == refusal


async def test_a_caller_that_takes_no_json_is_refused_with_nothing(cerner: CernerStandIn) -> None:
    answer = await cerner.patch(await cerner.book(), links(), accept="application/xml")

    assert (answer.status_code, answer.content) == (406, b"")


async def test_a_patch_in_an_old_version_changes_nothing(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    await cerner.control("PATCH", f"appointments/{appointment}", {"start": "2026-11-18T16:00:00Z"})
    answer = await cerner.patch(appointment, links(), if_match='W/"0-0"')

    assert outcome_of(answer) == (409, "conflict")
    assert "contained" not in await read(cerner, appointment)


@pytest.mark.parametrize("scope", ["system/Appointment.read", "system/Appointment.write", "system/Location.read"])
async def test_both_scopes_are_needed(cerner: CernerStandIn, scope: str) -> None:
    headers = await cerner.bearer(scope)
    answer = await cerner.patch(await cerner.book(), links(), authorization=headers["Authorization"])

    assert outcome_of(answer) == (403, "forbidden")


async def test_one_scope_of_the_second_version_is_both(cerner: CernerStandIn) -> None:
    headers = await cerner.bearer("system/Appointment.crus")
    answer = await cerner.patch(await cerner.book(), links(), authorization=headers["Authorization"])

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("control", "refusal"), [("locked", (423, "lock-error")), ("failDependency", (424, "processing"))]
)
async def test_an_appointment_can_be_made_to_refuse_until_it_is_let_go(
    cerner: CernerStandIn, control: str, refusal: tuple[int, str]
) -> None:
    appointment = await cerner.book()
    await cerner.control("PATCH", f"appointments/{appointment}", {control: True})
    held = await cerner.patch(appointment, links())
    await cerner.control("PATCH", f"appointments/{appointment}", {control: False})
    free = await cerner.patch(appointment, links())

    assert outcome_of(held) == refusal
    assert free.status_code == 200


LEGAL = {
    ("proposed", "cancelled"),
    ("booked", "arrived"),
    ("booked", "checked-in"),
    ("booked", "cancelled"),
    ("arrived", "checked-in"),
    ("arrived", "cancelled"),
    ("checked-in", "fulfilled"),
    ("checked-in", "cancelled"),
}


@pytest.mark.parametrize("before", ["proposed", "booked", "arrived", "checked-in", "fulfilled", "cancelled", "noshow"])
async def test_only_legal_moves_of_the_status_are_made(cerner: CernerStandIn, before: str) -> None:
    for after in ("proposed", "booked", "arrived", "checked-in", "fulfilled", "cancelled", "noshow", "nonsense"):
        appointment = await cerner.book(status=before)
        answer = await cerner.patch(appointment, status(after))
        shown = (await cerner.control("GET", f"appointments/{appointment}"))["status"]

        expected = (200, after) if (before, after) in LEGAL else (422, before)
        assert (answer.status_code, shown) == expected


async def test_a_proposed_appointment_is_booked_with_a_slot_alone(cerner: CernerStandIn) -> None:
    appointment = await cerner.book(status="proposed")
    slot = {"op": "add", "path": "/slot", "value": [{"reference": "Slot/1"}]}
    answer = await cerner.patch(appointment, [*status("booked"), slot])

    assert answer.status_code == 200
    assert (await read(cerner, appointment))["status"] == "booked"


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"[1]", b'[{"op": "add"}]', b'[{"path": "/status"}]'])
async def test_a_body_that_is_no_patch_is_refused(cerner: CernerStandIn, body: bytes) -> None:
    assert outcome_of(await cerner.patch(await cerner.book(), body)) == (400, "structure")


async def test_an_unknown_appointment_cannot_be_patched(cerner: CernerStandIn) -> None:
    assert outcome_of(await cerner.patch("1", links())) == (404, "not-found")


async def test_a_patch_at_one_tenant_changes_nothing_at_another(cerner: CernerStandIn) -> None:
    before = await read(cerner, "4817000", OTHER_TENANT)
    await cerner.control("PATCH", f"appointments/4817000?tenant={TENANT}", {"status": "booked"})
    answer = await cerner.patch("4817000", status("arrived"))

    assert answer.status_code == 200
    assert await read(cerner, "4817000", OTHER_TENANT) == before


async def test_the_history_tells_who_wrote_what(cerner: CernerStandIn) -> None:
    appointment = await cerner.book()
    await cerner.patch(appointment, links())
    await cerner.control("PATCH", f"appointments/{appointment}", {"status": "cancelled"})

    history = (await cerner.control("GET", f"appointments/{appointment}"))["history"]
    assert [(entry["version"], entry["by"]) for entry in history] == [
        ("0-0", "control"),
        ("0-1", CLIENT),
        ("1-1", "control"),
    ]
    assert history[1]["change"] == {"links": {"provider": PROVIDER, "patient": PATIENT, "start": START, "end": END}}
    assert history[2]["change"] == {"status": "cancelled"}
