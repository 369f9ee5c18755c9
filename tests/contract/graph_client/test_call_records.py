"""Call records through our client: all pages of them, and nothing that names anybody."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from contract.graph_stand_in.running import CLIENT, CLINICIAN, TENANT, GraphStandIn

from ehr_clients.call_records import Who
from ehr_clients.entra.tokens import AppTokens
from ehr_clients.errors import RefusedError
from ehr_clients.graph import Graph
from ehr_clients.http import client, tls_context

GUESTS = 70
"""More than there are on one page of sessions."""


@pytest.fixture
async def ours(graph: GraphStandIn, tokens: AppTokens, resources: AsyncExitStack) -> Graph:
    http = await resources.enter_async_context(client(tls=tls_context(graph.ca.ca_file)))

    async def token() -> str:
        return (await tokens.token(TENANT, CLIENT)).value

    return Graph(http, graph.url, token)


async def played(graph: GraphStandIn, *, guests: int) -> str:
    """Play a call, and return its record's id."""
    meeting = await graph.meeting()
    path = f"/_sandbox/meetings/{meeting['id']}"
    await graph.http.post(f"{path}/participants", json={"displayName": "Ada Okafor", "userId": CLINICIAN})
    for _ in range(guests):
        guest = (await graph.http.post(f"{path}/participants", json={"displayName": "Pat Ient"})).json()
        await graph.http.post(f"{path}/participants/{guest['id']}/admit")
    await graph.http.post(f"{path}/end")
    listed = await graph.call("GET", "/v1.0/communications/callRecords")
    return listed.json()["value"][0]["id"]


async def test_every_page_of_sessions_is_read_with_its_figures(graph: GraphStandIn, ours: Graph) -> None:
    record = await played(graph, guests=GUESTS)

    version, sessions = await ours.call_sessions(record)

    assert version == 1
    assert len({one.id for one in sessions}) == GUESTS + 1
    assert all(stream.average_jitter for one in sessions for media in one.media for stream in media.streams)


async def test_who_took_part_is_told_by_id_and_tenant_without_names(graph: GraphStandIn, ours: Graph) -> None:
    record = await played(graph, guests=1)

    participants = await ours.call_participants(record)
    _, sessions = await ours.call_sessions(record)

    identities = [one.identity or {} for one in participants]
    assert {kind for one in identities for kind in one} == {"user", "guest"}
    assert Who(id=CLINICIAN, tenant_id=TENANT) in [one.get("user") for one in identities]
    assert "Ada" not in f"{[one.model_dump() for one in (*participants, *sessions)]}"


async def test_a_record_leads_to_its_meeting(graph: GraphStandIn, ours: Graph) -> None:
    record = await played(graph, guests=1)

    assert (await ours.call_record(record)).join_web_url == (await graph.meeting())["joinWebUrl"]


async def test_a_record_that_is_not_there_is_refused_as_not_found(ours: Graph) -> None:
    with pytest.raises(RefusedError) as refused:
        await ours.call_record("22222222-2222-4222-8222-222222222222")

    assert refused.value.status == 404
