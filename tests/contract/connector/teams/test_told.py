"""What happens in a meeting told back by Graph, and the subscriptions by which it is told, against the simulator."""

from __future__ import annotations

import asyncio

import pytest
from contract.connector.teams_running import TeamsUnderTest, control, until
from contract.graph_stand_in.running import CLINICIAN, GraphStandIn

from ehr_clients.graph import CALL_RECORDS, call_events_of
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.events import Kind, Side

PATIENT = "Zebediah Quillfeather"


async def subscribed(teams: TeamsUnderTest, row: VisitRow) -> str:
    """Wait until a visit's meeting is listened to, and return the subscription's id."""

    async def is_there() -> bool:
        found = await teams.rows.get(row.visit)
        return found is not None and found.subscription_id is not None

    await until(is_there)
    found = await teams.rows.get(row.visit)
    assert found is not None
    assert found.subscription_id is not None
    return found.subscription_id


async def test_what_happens_in_a_meeting_becomes_events_of_its_visit(
    graph: GraphStandIn, teams: TeamsUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    row = await teams.visit()
    meeting = await teams.ensured(row, CLINICIAN)
    await subscribed(teams, row)
    people = f"meetings/{meeting.meeting_id}/participants"

    patient = await control(graph, "POST", people, {"displayName": PATIENT})
    await control(graph, "POST", people, {"displayName": "Ada Okafor", "userId": CLINICIAN})
    await control(graph, "POST", f"{people}/{patient['id']}/admit")
    await control(graph, "POST", f"meetings/{meeting.meeting_id}/end")

    async def has_ended() -> bool:
        return Kind.CALL_ENDED in {event.kind for event in await teams.events.of(row.visit)}

    async def all_told() -> bool:
        return len(teams.told) == len(await teams.events.of(row.visit)) == 7

    await until(has_ended)
    await until(all_told)
    events = sorted(await teams.events.of(row.visit), key=lambda event: event.happened_at)
    mine = teams.secret_keys.name("participant", row.visit, patient["id"])
    assert [(e.kind, e.code) for e in events if e.participant == mine] == [
        (Kind.IN_LOBBY, Side.PATIENT),
        (Kind.IN_VISIT, Side.PATIENT),
        (Kind.LEFT, None),
    ]
    assert [(e.kind, e.code) for e in events if e.participant not in {mine, None}] == [
        (Kind.IN_VISIT, Side.PROVIDER),
        (Kind.LEFT, None),
    ]
    assert "Zebediah" not in caplog.text
    assert "Zebediah" not in f"{events}"


async def test_a_notification_that_comes_twice_is_told_once(graph: GraphStandIn, small_teams: TeamsUnderTest) -> None:
    row = await small_teams.visit()
    meeting = await small_teams.ensured(row)
    await subscribed(small_teams, row)
    await graph.settings(duplicate=2)

    await control(graph, "POST", f"meetings/{meeting.meeting_id}/participants", {"displayName": PATIENT})

    async def repeated() -> bool:
        return small_teams.count("ehr_connector_graph_notifications_total", outcome="repeated") == 2

    await until(repeated)
    assert len(await small_teams.events.of(row.visit)) == 2
    assert len(small_teams.told) == 2


async def test_what_follows_from_events_is_done_when_it_failed_after_they_were_recorded(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    row = await small_teams.visit()
    meeting = await small_teams.ensured(row)
    await subscribed(small_teams, row)
    await graph.settings(resend_after_s=[0.1])
    small_teams.failing.append(ConnectionError("the database went away"))

    await control(graph, "POST", f"meetings/{meeting.meeting_id}/participants", {"displayName": PATIENT})

    async def has_followed() -> bool:
        return (row.visit, Kind.IN_LOBBY) in {(visit, event.kind) for visit, event in small_teams.told}

    await until(has_followed)
    assert small_teams.failing == []


async def test_a_subscription_made_by_a_worker_that_died_is_found_and_taken_over(
    small_teams: TeamsUnderTest,
) -> None:
    row = await small_teams.visit()
    await small_teams.ensured(row)
    first = await subscribed(small_teams, row)
    await small_teams.rows.remove(row.visit)

    await small_teams.teams.subscriptions.ask(await small_teams.again(row))

    assert await subscribed(small_teams, row) == first


async def test_a_subscription_that_leads_elsewhere_is_replaced(
    graph: GraphStandIn, small_teams: TeamsUnderTest
) -> None:
    row = await small_teams.visit()
    meeting = await small_teams.ensured(row)
    first = await subscribed(small_teams, row)
    await small_teams.rows.remove(row.visit)
    local = small_teams.url.replace("127.0.0.1", "localhost")
    assert local != small_teams.url
    small_teams.url = local
    await small_teams.configure()
    await asyncio.sleep(0.6)  # the directory looks at the database twice a second

    await small_teams.teams.subscriptions.ask(await small_teams.again(row))

    assert await subscribed(small_teams, row) != first
    listed = await graph.call("GET", "/beta/subscriptions")
    resource = call_events_of(meeting.join_web_url)
    of_meetings = [one["resource"] for one in listed.json()["value"] if one["resource"] != CALL_RECORDS]
    assert of_meetings == [resource]


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved"])
async def test_a_subscription_lives_on_when_graph_asks_or_takes_it_away(
    graph: GraphStandIn, small_teams: TeamsUnderTest, event: str
) -> None:
    row = await small_teams.visit()
    await small_teams.ensured(row)
    first = await subscribed(small_teams, row)

    await control(graph, "POST", f"subscriptions/{first}/lifecycle", {"event": event})

    action = "renew" if event == "reauthorizationRequired" else "create"
    expected = 1 if action == "renew" else 2

    async def is_done() -> bool:
        counted = small_teams.count("ehr_connector_graph_subscriptions_total", action=action, outcome="ok")
        return counted == expected

    await until(is_done)
    assert (await subscribed(small_teams, row) == first) is (action == "renew")
