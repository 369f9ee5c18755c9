"""Call records: there once a call has ended, told of, revised, and gone after thirty days."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from contract.graph_stand_in.running import CLINICIAN, GraphStandIn
from contract.graph_stand_in.subscriber import Subscriber, subscribe

RECORDS = "/v1.0/communications/callRecords"
BASIC = {"includeResourceData": None, "encryptionCertificate": None, "encryptionCertificateId": None}
FIGURES = ("averageJitter", "averageRoundTripTime", "averagePacketLossRate", "averageRatioOfConcealedSamples")


async def play(graph: GraphStandIn, guests: int = 1) -> dict[str, Any]:
    """Play a call of a clinician and guests, of whom another one is never admitted."""
    meeting = await graph.meeting()
    path = f"/_sandbox/meetings/{meeting['id']}"
    await graph.http.post(f"{path}/participants", json={"displayName": "Ada Okafor", "userId": CLINICIAN})
    for _ in range(guests):
        guest = (await graph.http.post(f"{path}/participants", json={"displayName": "Pat"})).json()
        await graph.http.post(f"{path}/participants/{guest['id']}/admit")
    await graph.http.post(f"{path}/participants", json={"displayName": "Never admitted"})
    await graph.http.post(f"{path}/end")
    return meeting


async def watch_records(graph: GraphStandIn, subscriber: Subscriber) -> None:
    answer = await subscribe(graph, subscriber, "communications/callRecords", changeType="created,updated", **BASIC)
    assert answer.status_code == 201, answer.text


async def test_a_call_that_ended_has_a_record_with_the_figures_of_its_media(
    graph: GraphStandIn, subscriber: Subscriber
) -> None:
    await watch_records(graph, subscriber)
    meeting = await play(graph)
    told = await subscriber.next()

    answer = await graph.call("GET", f"/v1.0/{told['resourceData']['@odata.id']}?$expand=sessions($expand=segments)")

    record = answer.json()
    assert (told["changeType"], told["resource"]) == ("created", "communications/callRecords")
    assert (record["joinWebUrl"], record["version"], record["type"]) == (meeting["joinWebUrl"], 1, "groupCall")
    assert len(record["sessions"]) == 2
    streams = [
        stream
        for session in record["sessions"]
        for segment in session["segments"]
        for media in segment["media"]
        if media["label"] == "main-audio"
        for stream in media["streams"]
    ]
    assert len(streams) == 4
    for stream in streams:
        assert all(stream[figure] is not None for figure in FIGURES)
        assert re.fullmatch(r"PT0\.\d{3}S", stream["averageJitter"])


async def test_a_record_comes_again_with_more_data(graph: GraphStandIn, subscriber: Subscriber) -> None:
    await watch_records(graph, subscriber)
    await play(graph)
    record_id = (await subscriber.next())["resourceData"]["id"]

    async def loss() -> float:
        shown = (await graph.call("GET", f"{RECORDS}/{record_id}?$expand=sessions($expand=segments)")).json()
        return shown["sessions"][0]["segments"][0]["media"][0]["streams"][0]["averageBandwidthEstimate"]

    before = await loss()
    revised = await graph.http.post(f"/_sandbox/callRecords/{record_id}/revise", json={"quality": "poor"})

    assert revised.json() == {"id": record_id, "version": 2}
    assert (await subscriber.next())["changeType"] == "updated"
    assert await loss() < before


async def test_records_are_listed_by_time_and_participant_and_not_by_meeting(graph: GraphStandIn) -> None:
    await play(graph)
    now = graph.clock.time
    window = f"startDateTime ge {(now - timedelta(hours=1)).isoformat()} and startDateTime lt {now.isoformat()}"
    filters = ["", f"startDateTime ge {now.isoformat()}", window, f"participants_v2/any(p:p/id eq '{CLINICIAN}')"]
    found = [
        len((await graph.call("GET", RECORDS, params={"$filter": one} if one else {})).json()["value"])
        for one in filters
    ]
    refused = await graph.call("GET", RECORDS, params={"$filter": "joinWebUrl eq 'x'"})
    expanded = await graph.call("GET", RECORDS, params={"$expand": "sessions"})

    assert found == [1, 1, 0, 1]
    assert (refused.status_code, expanded.status_code) == (400, 400)


async def test_many_sessions_come_in_pages(graph: GraphStandIn) -> None:
    await play(graph, guests=4)
    record_id = (await graph.call("GET", RECORDS)).json()["value"][0]["id"]
    prefer = {"Prefer": "odata.maxpagesize=2"}
    first = (await graph.call("GET", f"{RECORDS}/{record_id}?$expand=sessions", headers=prefer)).json()
    seen, link = [session["id"] for session in first["sessions"]], first["sessions@odata.nextLink"]
    while link:
        body = (await graph.call("GET", link, headers=prefer)).json()
        seen += [session["id"] for session in body["value"]]
        link = body.get("@odata.nextLink")

    assert len(seen) == len(set(seen)) == 5


async def test_a_record_is_kept_thirty_days(graph: GraphStandIn) -> None:
    await play(graph)
    record_id = (await graph.call("GET", RECORDS)).json()["value"][0]["id"]
    graph.clock.advance(days=30)
    kept = await graph.call("GET", f"{RECORDS}/{record_id}")
    graph.clock.advance(seconds=1)
    gone = await graph.call("GET", f"{RECORDS}/{record_id}")

    assert (kept.status_code, gone.status_code) == (200, 404)


@pytest.mark.parametrize(("minutes", "status"), [(4230, 201), (4240, 400)])
async def test_a_subscription_to_records_lives_4230_minutes_at_most(
    graph: GraphStandIn, subscriber: Subscriber, minutes: int, status: int
) -> None:
    until = (graph.clock.time + timedelta(minutes=minutes)).isoformat()
    answer = await subscribe(
        graph, subscriber, "/communications/callRecords", changeType="created", expirationDateTime=until, **BASIC
    )

    assert answer.status_code == status
