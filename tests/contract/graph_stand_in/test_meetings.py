"""Online meetings as Graph makes, finds and changes them, and who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from contract.graph_stand_in.running import CLIENT, CLINICIAN, ORGANIZER, GraphStandIn, Starter

from ehr_sandbox.graph.settings import Behaviour

MEETINGS = f"/v1.0/users/{ORGANIZER}/onlineMeetings"
CREATE_OR_GET = f"{MEETINGS}/createOrGet"
CO_ORGANIZER = {"attendees": [{"identity": {"user": {"id": CLINICIAN}}, "role": "coorganizer"}]}
ALL_MEMBERS = {"Prefer": "include-unknown-enum-members"}


async def test_the_same_external_id_of_the_same_organizer_is_the_same_meeting(graph: GraphStandIn) -> None:
    body = {"externalId": "digest-1", "subject": "Virtual visit"}
    answers = [await graph.call("POST", CREATE_OR_GET, body) for _ in range(2)]
    other = await graph.call("POST", f"/v1.0/users/{CLINICIAN}/onlineMeetings/createOrGet", body)

    assert [answer.status_code for answer in (*answers, other)] == [201, 200, 201]
    assert len({answer.json()["id"] for answer in (*answers, other)}) == 2
    assert answers[0].json() == answers[1].json()


async def test_a_meeting_that_is_found_keeps_its_times(graph: GraphStandIn) -> None:
    made = await graph.meeting(startDateTime="2026-11-24T10:00:00Z", endDateTime="2026-11-24T10:30:00Z")
    found = await graph.meeting(startDateTime="2026-11-25T10:00:00Z", endDateTime="2026-11-25T10:30:00Z")

    assert found["startDateTime"] == made["startDateTime"] == "2026-11-24T10:00:00.0000000Z"


async def test_a_join_url_is_as_long_as_microsofts(graph: GraphStandIn) -> None:
    meeting = await graph.meeting()

    assert len(meeting["joinWebUrl"]) >= 243
    assert "%3ameeting_" in meeting["joinWebUrl"]
    assert meeting["joinWebUrl"].startswith(f"{graph.url}/teams/meet/")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"externalId": ""},
        {"externalId": "x", "lobbyBypassSettings": {"scope": "organization"}},
        {"externalId": "x", "endDateTime": "2026-11-24T10:00:00Z"},
        {"externalId": "x", "startDateTime": "2026-11-24T10:00:00Z", "endDateTime": "2026-11-24T09:00:00Z"},
        {"externalId": "x", "startDateTime": "soon"},
    ],
)
async def test_what_create_or_get_does_not_take_is_refused(graph: GraphStandIn, fields: dict[str, Any]) -> None:
    answer = await graph.call("POST", CREATE_OR_GET, fields)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


async def test_a_meeting_is_patched_for_lobby_times_subject_and_co_organizer(graph: GraphStandIn) -> None:
    path = f"{MEETINGS}/{(await graph.meeting())['id']}"
    change = {
        "subject": "Virtual visit",
        "startDateTime": "2026-11-24T10:00:00Z",
        "endDateTime": "2026-11-24T10:30:00Z",
        "lobbyBypassSettings": {"scope": "invited", "isDialInBypassEnabled": False},
        "participants": CO_ORGANIZER,
        "allowedPresenters": "organization",
    }

    answer = await graph.call("PATCH", path, change, headers=ALL_MEMBERS)
    plain = (await graph.call("GET", path)).json()

    shown = answer.json()
    assert answer.status_code == 200
    assert shown["lobbyBypassSettings"] == change["lobbyBypassSettings"]
    assert shown["participants"]["attendees"][0]["role"] == "coorganizer"
    assert (shown["subject"], shown["startDateTime"]) == ("Virtual visit", "2026-11-24T10:00:00.0000000Z")
    assert plain["lobbyBypassSettings"]["scope"] == "unknownFutureValue"
    assert plain["participants"]["attendees"][0]["role"] == "unknownFutureValue"


@pytest.mark.parametrize(
    "change",
    [
        {"externalId": "other"},
        {"joinWebUrl": "https://other.example"},
        {"startDateTime": "2026-11-24T10:00:00Z"},
        {"lobbyBypassSettings": {"scope": "nobody"}},
        {"allowedPresenters": "me"},
        {"allowRecording": "yes"},
        {"participants": {"organizer": {"identity": {"user": {"id": CLINICIAN}}}}},
        {"participants": {"attendees": [{"upn": "guest@elsewhere.example", "role": "coorganizer"}]}},
        {"participants": {"attendees": [{"identity": {"user": {"id": CLINICIAN}}, "role": "boss"}]}},
    ],
)
async def test_a_change_that_is_not_allowed_changes_nothing(graph: GraphStandIn, change: dict[str, Any]) -> None:
    path = f"{MEETINGS}/{(await graph.meeting())['id']}"
    before = (await graph.call("GET", path)).json()

    answer = await graph.call("PATCH", path, {"subject": "New", **change})

    assert answer.status_code == 400
    assert (await graph.call("GET", path)).json() == before


async def test_a_meeting_that_is_deleted_is_gone(graph: GraphStandIn) -> None:
    path = f"{MEETINGS}/{(await graph.meeting())['id']}"

    statuses = [(await graph.call(method, path)).status_code for method in ("DELETE", "GET", "DELETE")]

    assert statuses == [204, 404, 404]


async def test_without_the_application_access_policy_nothing_is_made(graph: GraphStandIn) -> None:
    changed = await graph.http.patch(f"/_sandbox/users/{ORGANIZER}", json={"inApplicationAccessPolicy": False})
    answer = await graph.call("POST", CREATE_OR_GET, {"externalId": "x"})

    error = answer.json()["error"]
    assert changed.status_code == 200
    assert (answer.status_code, error["code"]) == (403, "Unauthorized")
    assert "is not authorized to Create meeting on behalf of user" in error["message"]


async def test_an_organizer_whose_license_is_revoked_makes_no_meeting(graph: GraphStandIn) -> None:
    before = await graph.call("GET", f"/v1.0/users/{ORGANIZER}/licenseDetails")
    await graph.http.patch(f"/_sandbox/users/{ORGANIZER}", json={"licenses": ["EXCHANGESTANDARD"]})
    after = await graph.call("GET", f"/v1.0/users/{ORGANIZER}/licenseDetails")
    refused = await graph.call("POST", CREATE_OR_GET, {"externalId": "x"})

    def plans(body: dict[str, Any]) -> set[str]:
        return {plan["servicePlanName"] for entry in body["value"] for plan in entry["servicePlans"]}

    assert "TEAMS1" in plans(before.json())
    assert "TEAMS1" not in plans(after.json())
    assert refused.status_code == 403


async def test_without_the_role_a_call_is_refused(graph: GraphStandIn) -> None:
    await graph.http.patch(f"/_sandbox/apps/{CLIENT}", json={"appRoles": ["User.Read.All"]})
    made = await graph.call("POST", CREATE_OR_GET, {"externalId": "x"})
    read = await graph.call("GET", f"/v1.0/users/{ORGANIZER}?$select=id,accountEnabled,assignedPlans")

    assert (made.status_code, made.json()["error"]["code"]) == (403, "Forbidden")
    assert read.status_code == 200
    assert set(read.json()) == {"@odata.context", "id", "accountEnabled", "assignedPlans"}
    assert read.json()["assignedPlans"][0]["service"] == "TeamspaceAPI"


async def test_a_token_expires_and_one_for_another_resource_is_refused(graph: GraphStandIn) -> None:
    path = f"/v1.0/users/{ORGANIZER}"
    other = await graph.bearer(scope="https://communication.azure.com/.default")
    mine = await graph.bearer()
    at_first = await graph.http.get(path, headers=mine)
    graph.clock.advance(hours=1)
    later = await graph.http.get(path, headers=mine)
    wrong = await graph.http.get(path, headers=other)
    none = await graph.http.get(path)

    assert at_first.status_code == 200
    for answer in (later, wrong, none):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


async def test_an_organizer_has_so_many_meetings_a_month(start_graph: Starter) -> None:
    graph = await start_graph(behaviour=Behaviour(meetings_a_month=1))
    answers = [await graph.call("POST", CREATE_OR_GET, {"externalId": name}) for name in ("a", "b", "a")]
    graph.clock.advance(days=31)
    next_month = await graph.call("POST", CREATE_OR_GET, {"externalId": "b"})

    assert [answer.status_code for answer in answers] == [201, 429, 200]
    assert "retry-after" in answers[1].headers
    assert next_month.status_code == 201


@pytest.mark.parametrize(("permitted", "status"), [(True, 200), (False, 403)])
async def test_an_application_may_or_may_not_ask_for_the_address_for_patients(
    graph: GraphStandIn, permitted: bool, status: int
) -> None:
    await graph.settings(virtual_appointment_for_applications=permitted)
    meeting = await graph.meeting()

    answer = await graph.call("GET", f"{MEETINGS}/{meeting['id']}/getVirtualAppointmentJoinWebUrl")

    assert answer.status_code == status
    assert ("value" in answer.json()) is permitted


async def test_calls_can_be_throttled(graph: GraphStandIn) -> None:
    rule = {"action": "status", "status": 429, "retry_after_s": 7, "path": "createOrGet"}
    await graph.http.put("/_sandbox/faults", json=[rule])

    answers = [await graph.call("POST", CREATE_OR_GET, {"externalId": "x"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [429, 201]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[0].json()["error"]["code"] == "TooManyRequests"


async def test_an_absent_start_is_now_and_a_meeting_lasts_an_hour(graph: GraphStandIn) -> None:
    meeting = await graph.meeting()

    begin = graph.clock.time.strftime("%Y-%m-%dT%H:%M:%S")
    end = (graph.clock.time + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    assert (meeting["startDateTime"][:19], meeting["endDateTime"][:19]) == (begin, end)
