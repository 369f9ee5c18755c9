"""Every call of Graph under every fault: which error comes, and that one request was sent and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from contract.graph_stand_in.running import CLIENT, ORGANIZER, TENANT, GraphStandIn

from ehr_clients.entra.tokens import AppTokens
from ehr_clients.errors import RefusedError, TemporaryError
from ehr_clients.graph import Graph, OnlineMeeting, call_events_of
from ehr_clients.http import client, tls_context

START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
END = START + timedelta(minutes=30)
TIMEOUT_S = 0.25


@dataclass
class Connected:
    """Our client with the simulator that it talks to."""

    stand_in: GraphStandIn
    http: httpx.AsyncClient
    graph: Graph
    meeting: OnlineMeeting

    async def arrivals(self) -> int:
        """Return how many requests the first fault rule has met."""
        return (await self.stand_in.http.get("/_sandbox/faults")).json()[0]["matched"]


@pytest.fixture
async def connected(graph: GraphStandIn, tokens: AppTokens, resources: AsyncExitStack) -> Connected:
    http = await resources.enter_async_context(client(tls=tls_context(graph.ca.ca_file)))

    async def token() -> str:
        return (await tokens.token(TENANT, CLIENT)).value

    ours = Graph(http, graph.url, token)
    meeting = await ours.create_or_get_meeting(ORGANIZER, "digest", start=START, end=END, subject="Virtual visit")
    return Connected(graph, http, ours, meeting)


async def _subscribe(graph: Graph, meeting: OnlineMeeting) -> object:
    return await graph.subscribe(
        call_events_of(meeting.join_web_url),
        notification_url="https://connector.example/graph/notifications",
        expires=datetime.now(UTC) + timedelta(hours=1),
        client_state="x",
        certificate="x",
        certificate_id="x",
    )


CALLS: dict[str, Callable[[Graph, OnlineMeeting], Awaitable[object]]] = {
    "create or get meeting": lambda graph, _: graph.create_or_get_meeting(
        ORGANIZER, "another", start=START, end=END, subject="Virtual visit"
    ),
    "update meeting": lambda graph, meeting: graph.update_meeting(
        ORGANIZER, meeting.id, start=START, end=END, co_organizers=[]
    ),
    "get meeting": lambda graph, meeting: graph.meeting(ORGANIZER, meeting.id),
    "look for meetings": lambda graph, _: graph.check_may_organize(ORGANIZER),
    "get virtual appointment address": lambda graph, meeting: graph.virtual_appointment_url(ORGANIZER, meeting.id),
    "get user": lambda graph, _: graph.user(ORGANIZER),
    "get licenses": lambda graph, _: graph.licenses(ORGANIZER),
    "subscribe": _subscribe,
    "renew subscription": lambda graph, _: graph.renew("s", END),
    "delete subscription": lambda graph, _: graph.unsubscribe("s"),
    "list subscriptions": lambda graph, _: graph.subscriptions(),
    "subscribe to call records": lambda graph, _: graph.subscribe_to_call_records(
        notification_url="https://connector.example/graph/notifications", expires=END, client_state="x"
    ),
    "get call record": lambda graph, _: graph.call_record("r"),
    "get call participants": lambda graph, _: graph.call_participants("r"),
    "get call sessions": lambda graph, _: graph.call_sessions("r"),
}

FAULTS: dict[str, tuple[dict[str, Any], str, bool, float | None]] = {
    "delay": ({"action": "delay", "delay_s": 0.5}, "no answer in time", True, None),
    "429": (
        {"action": "status", "status": 429, "retry_after_s": 7},
        "status 429 (TooManyRequests)",
        False,
        7.0,
    ),
    "500": ({"action": "status", "status": 500}, "status 500 (InternalServerError)", True, None),
    "503": (
        {"action": "status", "status": 503, "retry_after_s": 120},
        "status 503 (ServiceUnavailable)",
        True,
        120.0,
    ),
    "cut": ({"action": "cut"}, "the connection broke off", True, None),
    "half answer": ({"action": "half_answer"}, "the connection broke off", True, None),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("operation", "call"), CALLS.items(), ids=CALLS)
async def test_a_fault_becomes_an_error_that_says_what_to_do_after_one_request(
    connected: Connected,
    operation: str,
    call: Callable[[Graph, OnlineMeeting], Awaitable[object]],
    fault: str,
) -> None:
    rule, detail, ambiguous, retry_after_s = FAULTS[fault]
    if fault == "delay":
        connected.http.timeout = httpx.Timeout(TIMEOUT_S)
    answer = await connected.stand_in.http.put("/_sandbox/faults", json=[{**rule, "count": None}])
    assert answer.is_success, answer.text

    with pytest.raises(TemporaryError) as failed:
        await call(connected.graph, connected.meeting)

    error = failed.value
    assert (error.system, error.operation) == ("Microsoft Graph", operation)
    assert detail in error.detail
    assert (error.ambiguous, error.retry_after_s) == (ambiguous, retry_after_s)
    assert await connected.arrivals() == 1


async def test_a_refusal_has_graphs_code_and_not_its_words(connected: Connected) -> None:
    answer = await connected.stand_in.http.patch(
        f"/_sandbox/users/{ORGANIZER}", json={"inApplicationAccessPolicy": False}
    )
    assert answer.is_success, answer.text

    with pytest.raises(RefusedError) as refused:
        await connected.graph.meeting(ORGANIZER, connected.meeting.id)

    assert (refused.value.status, refused.value.code) == (403, "Unauthorized")
    assert "behalf" not in str(refused.value)


async def test_a_meeting_shows_neither_its_address_nor_who_is_invited(connected: Connected) -> None:
    assert connected.meeting.join_web_url not in repr(connected.meeting)
    assert ORGANIZER not in repr(connected.meeting).replace(connected.meeting.id, "")
