"""Meetings of visits through Graph, against the simulator."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from contract.connector.teams_running import SECOND_ORGANIZER, TeamsUnderTest, control, moved, running_teams
from contract.graph_stand_in.running import CLIENT, CLINICIAN, ORGANIZER, TENANT, GraphStandIn

from ehr_api.control import GraphReason
from ehr_connector.teams.meetings import organizers_of
from ehr_connector.teams.refusals import TeamsError
from ehr_sandbox.local_ca import LocalCA


async def calls(graph: GraphStandIn, path: str, method: str) -> int:
    answer = await graph.http.get("/_sandbox/requests", params={"path": path, "method": method})
    return answer.json()["count"]


async def stored(graph: GraphStandIn, meeting_id: str) -> dict[str, Any]:
    """Return a meeting as Graph shows it, with all members of its enumerations."""
    answer = await graph.call(
        "GET",
        f"/v1.0/users/{ORGANIZER}/onlineMeetings/{meeting_id}",
        headers={"Prefer": "include-unknown-enum-members"},
    )
    assert answer.is_success, answer.text
    return answer.json()


def co_organizers(meeting: dict[str, Any]) -> set[str]:
    return {
        one["identity"]["user"]["id"] for one in meeting["participants"]["attendees"] if one["role"] == "coorganizer"
    }


async def meetings(graph: GraphStandIn) -> list[dict[str, Any]]:
    answer = (await graph.http.get("/_sandbox/meetings")).json()
    return answer["meetings"] if isinstance(answer, dict) else answer


async def test_a_visit_has_one_meeting_however_often_and_by_however_many_it_is_asked_for(
    graph: GraphStandIn, teams: TeamsUnderTest
) -> None:
    row = await teams.visit()

    found = await asyncio.gather(*(teams.ensured(row) for _ in range(5)))

    assert len(set(found)) == 1
    assert (await teams.again(row)).meeting == found[0]
    assert len(await meetings(graph)) == 1


async def test_a_meeting_lets_only_the_organisation_pass_the_lobby_and_restricts_nothing(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    row = await small_teams.visit()

    meeting = await small_teams.ensured(row, CLINICIAN)

    shown = await stored(graph, meeting.meeting_id)
    assert shown["lobbyBypassSettings"] == {"scope": "organization", "isDialInBypassEnabled": False}
    assert co_organizers(shown) == {CLINICIAN}
    assert (shown["allowRecording"], shown["allowMeetingChat"], shown["allowedPresenters"]) == (
        True,
        "enabled",
        "everyone",
    )
    assert shown["subject"] == "Virtual visit"


async def test_a_second_clinician_is_added_and_the_first_one_stays(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    row = await small_teams.visit()
    await small_teams.ensured(row, CLINICIAN)

    meeting = await small_teams.ensured(await small_teams.again(row), SECOND_ORGANIZER)

    assert co_organizers(await stored(graph, meeting.meeting_id)) == {CLINICIAN, SECOND_ORGANIZER}


async def test_a_meeting_that_is_as_it_should_be_is_not_written_again(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    row = await small_teams.visit()
    await small_teams.ensured(row, CLINICIAN)
    before = await calls(graph, "/onlineMeetings", "PATCH")

    for _ in range(3):
        await small_teams.ensured(await small_teams.again(row), CLINICIAN)

    assert await calls(graph, "/onlineMeetings", "PATCH") == before


async def test_a_visit_that_is_moved_keeps_its_meeting_at_the_new_time(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    row = await small_teams.visit()
    meeting = await small_teams.ensured(row)
    later = await small_teams.visits.put(moved(row, days=1))

    assert await small_teams.ensured(later) == meeting
    shown = await stored(graph, meeting.meeting_id)
    assert shown["startDateTime"].startswith(later.starts_at.strftime("%Y-%m-%dT%H:%M:%S"))

    back = await small_teams.visits.put(moved(later, days=-1))
    await small_teams.ensured(back)
    shown = await stored(graph, meeting.meeting_id)
    assert shown["startDateTime"].startswith(row.starts_at.strftime("%Y-%m-%dT%H:%M:%S"))


async def test_a_visit_keeps_its_organiser_when_another_one_would_be_chosen_now(
    small_teams: TeamsUnderTest,
) -> None:
    row = await small_teams.visit()
    meeting = await small_teams.ensured(row)
    await small_teams.configure(meetingOrganizers=[SECOND_ORGANIZER])

    again = await small_teams.ensured(await small_teams.again(moved(row, hours=0)), CLINICIAN)

    assert again == meeting
    assert again.organizer == ORGANIZER


async def test_a_visit_that_was_read_before_its_meeting_was_made_gets_no_second_meeting(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    read_before = await small_teams.visit()
    first = await small_teams.ensured(read_before)
    await small_teams.configure(meetingOrganizers=[SECOND_ORGANIZER])

    assert await small_teams.ensured(read_before, CLINICIAN) == first
    assert (await small_teams.again(read_before)).meeting == first
    assert len(await meetings(graph)) == 1


async def test_a_meeting_that_somebody_deleted_is_made_anew(graph: GraphStandIn, small_teams: TeamsUnderTest) -> None:
    row = await small_teams.visit()
    first = await small_teams.ensured(row)
    gone = await graph.call("DELETE", f"/v1.0/users/{ORGANIZER}/onlineMeetings/{first.meeting_id}")
    assert gone.status_code == 204

    second = await small_teams.ensured(await small_teams.again(row), CLINICIAN)

    assert second.meeting_id != first.meeting_id
    assert (await small_teams.again(row)).meeting == second


async def test_an_organiser_who_reached_the_limit_is_passed_over(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    await small_teams.configure(meetingOrganizers=[ORGANIZER, SECOND_ORGANIZER])
    await graph.settings(meetings_a_month=1)
    rows = [await small_teams.visit(str(number)) for number in range(3)]

    first, second = [await small_teams.ensured(row) for row in rows[:2]]
    with pytest.raises(TeamsError) as refused:
        await small_teams.ensured(rows[2])

    assert {first.organizer, second.organizer} == {ORGANIZER, SECOND_ORGANIZER}
    assert refused.value.reason is GraphReason.MEETING_LIMIT_REACHED
    assert "meetingOrganizers" in refused.value.remedy
    report = await small_teams.teams.preflight.report(small_teams.organization)
    assert [one.reason for one in report.findings] == [GraphReason.MEETING_LIMIT_REACHED]


@pytest.fixture
async def other(
    graph: GraphStandIn,
    ca: LocalCA,
    keys_dir: Path,
    database_url: str,
    teams: TeamsUnderTest,
    resources: AsyncExitStack,
) -> TeamsUnderTest:
    """Another process beside `teams`, on its database."""
    other = await resources.enter_async_context(running_teams(graph, ca, keys_dir, database_url))
    other.organization = teams.organization
    return other


async def reasons_of(teams: TeamsUnderTest) -> list[GraphReason]:
    return [one.reason for one in (await teams.teams.preflight.report(teams.organization)).findings]


async def test_a_limit_that_one_replica_learns_all_replicas_report_until_a_meeting_is_made(
    graph: GraphStandIn, teams: TeamsUnderTest, other: TeamsUnderTest
) -> None:
    await graph.settings(meetings_a_month=1)
    await teams.ensured(await teams.visit("1"))
    assert await reasons_of(other) == []

    refused = await teams.visit("2")
    with pytest.raises(TeamsError):
        await teams.ensured(refused)

    assert await reasons_of(teams) == await reasons_of(other) == [GraphReason.MEETING_LIMIT_REACHED]
    await graph.settings(meetings_a_month=10)
    await other.ensured(refused)
    assert await reasons_of(teams) == await reasons_of(other) == []


async def test_patience_that_graph_asks_for_while_a_meeting_is_made_reaches_the_condition(
    graph: GraphStandIn, teams: TeamsUnderTest, other: TeamsUnderTest
) -> None:
    fault = {"path": "onlineMeetings", "action": "status", "status": 429, "retry_after_s": 7, "count": None}
    await control(graph, "PUT", "faults", [fault])
    with pytest.raises(TeamsError) as refused:
        await teams.ensured(await teams.visit())
    assert refused.value.reason is GraphReason.THROTTLED
    await control(graph, "PUT", "faults", [])

    assert await reasons_of(teams) == await reasons_of(other) == [GraphReason.THROTTLED]
    await other.ensured(await teams.visit())
    assert await reasons_of(teams) == []


async def test_a_missing_access_policy_names_the_command_that_mends_it(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    await control(graph, "PATCH", f"users/{ORGANIZER}", {"inApplicationAccessPolicy": False})

    with pytest.raises(TeamsError) as refused:
        await small_teams.ensured(await small_teams.visit())

    assert refused.value.reason is GraphReason.ACCESS_POLICY_MISSING
    assert f'-AppIds "{CLIENT}"' in refused.value.remedy
    assert f'Grant-CsApplicationAccessPolicy -PolicyName ehr-connector -Identity "{ORGANIZER}"' in refused.value.remedy


async def test_patients_join_in_the_browser_by_the_meetings_own_address(small_teams: TeamsUnderTest) -> None:
    meeting = await small_teams.ensured(await small_teams.visit())

    address = await small_teams.teams.meetings.patient_address(small_teams.organization, meeting)

    assert address == f"{meeting.join_web_url}&anon=true"
    assert len(address) <= 2048


async def test_patients_join_a_virtual_appointment_where_the_application_may_ask(
    small_teams: TeamsUnderTest,
) -> None:
    await small_teams.configure(patientJoin="VirtualAppointment")
    meeting = await small_teams.ensured(await small_teams.visit())

    address = await small_teams.teams.meetings.patient_address(small_teams.organization, meeting)

    assert f"/teams/visit/webrtc-svc/api/route?tid={TENANT}" in address


async def test_patients_join_in_the_browser_where_the_application_may_not_ask(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    await small_teams.configure(patientJoin="VirtualAppointment")
    await graph.settings(virtual_appointment_for_applications=False)
    meeting = await small_teams.ensured(await small_teams.visit())

    address = await small_teams.teams.meetings.patient_address(small_teams.organization, meeting)

    assert address.startswith(meeting.join_web_url)


async def test_the_order_of_organisers_is_the_same_for_a_visit_and_moves_few_when_one_is_added() -> None:
    before = ["a", "b", "c"]
    visits = [f"visit {number}" for number in range(400)]

    stayed = [organizers_of(one, before)[0] == organizers_of(one, [*before, "d"])[0] for one in visits]

    assert organizers_of("v", ["B", "a"]) == organizers_of("v", ["a", "b", "b"])
    assert 0.65 < sum(stayed) / len(visits) < 0.85
