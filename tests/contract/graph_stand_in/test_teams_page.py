"""The page behind the join URL, as two browsers use it: without script, by its forms and links."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import pytest
from contract.graph_stand_in.running import CLINICIAN, ORGANIZER, GraphStandIn
from contract.graph_stand_in.subscriber import Subscriber, meeting_events, subscribe

CO_ORGANIZER = {"attendees": [{"identity": {"user": {"id": CLINICIAN}}, "role": "coorganizer"}]}


class Browser:
    """One window: follows what a page offers."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.page = ""
        self.url = ""

    async def open(self, url: str) -> None:
        self._take(await self._http.get(url, follow_redirects=True))

    async def look(self) -> str:
        """Reload, and return the state that the page shows."""
        await self.open(self.url)
        return self.state

    async def submit(self, button: str, **fields: str) -> None:
        """Press the button with this id or label."""
        form = next(
            form
            for form in re.findall(r"<form.*?</form>", self.page, re.DOTALL)
            if f'id="{button}"' in form or f'aria-label="{button}"' in form
        )
        action = html.unescape(re.findall(r'action="([^"]+)"', form)[0])
        hidden = dict(re.findall(r'<(?:input type="hidden"|button) name="(\w+)" value="([^"]*)"', form))
        self._take(await self._http.post(action, data={**hidden, **fields}, follow_redirects=True))

    def _take(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-frame-options"] == "DENY"
        self.page, self.url = answer.text, str(answer.url)

    @property
    def state(self) -> str:
        return re.findall(r'data-state="(\w+)"', self.page)[0]


@pytest.fixture
async def meeting(graph: GraphStandIn) -> dict[str, Any]:
    return await graph.meeting(participants=CO_ORGANIZER)


async def test_a_visit_is_played_in_two_windows(
    graph: GraphStandIn, subscriber: Subscriber, meeting: dict[str, Any]
) -> None:
    url = meeting["joinWebUrl"]
    assert (await subscribe(graph, subscriber, meeting_events(url))).status_code == 201
    patient, clinician = Browser(graph.http), Browser(graph.http)

    await patient.open(f"{url}&name=Pat")
    await patient.submit("join", name="Pat <b>")
    states = [patient.state]
    await clinician.open(f"{url}&as={CLINICIAN}")
    await clinician.submit("join-as-user")
    states.append(clinician.state)
    await clinician.submit("Admit Pat &lt;b&gt;")
    states.append(await patient.look())
    await clinician.submit("end")
    states += [await patient.look(), clinician.state]

    assert states == ["lobby", "meeting", "meeting", "ended", "ended"]
    assert [(await subscriber.event())["eventType"] for _ in range(6)] == [
        *("callStarted", "rosterUpdated", "rosterUpdated", "rosterUpdated", "rosterUpdated", "callEnded"),
    ]


async def test_the_address_for_patients_leads_to_the_same_lobby(graph: GraphStandIn, meeting: dict[str, Any]) -> None:
    path = f"/v1.0/users/{ORGANIZER}/onlineMeetings/{meeting['id']}/getVirtualAppointmentJoinWebUrl"
    patient = Browser(graph.http)
    await patient.open((await graph.call("GET", path)).json()["value"])
    await patient.submit("join", name="Pat")
    await patient.submit("leave")

    truth = (await graph.http.get("/_sandbox/meetings")).json()[0]["calls"][0]
    assert patient.state == "ended"
    assert [(one["displayName"], one["userId"]) for one in truth["participants"]] == [("Pat", None)]


async def test_who_waits_cannot_admit_themselves(graph: GraphStandIn, meeting: dict[str, Any]) -> None:
    patient = Browser(graph.http)
    await patient.open(meeting["joinWebUrl"])
    await patient.submit("join", name="Pat")
    own_id = httpx.URL(patient.url).params["participant"]

    answer = await graph.http.post(patient.url.replace("/0?", "/0/admit?"), data={"who": own_id})

    assert answer.status_code == 403
    assert await patient.look() == "lobby"


async def test_a_meeting_that_does_not_exist_has_no_page(graph: GraphStandIn, meeting: dict[str, Any]) -> None:
    url = meeting["joinWebUrl"].replace("19%3ameeting_", "19%3ameeting_x")

    assert (await graph.http.get(url)).status_code == 404


async def test_the_view_that_the_page_polls_changes_with_the_meeting(
    graph: GraphStandIn, meeting: dict[str, Any]
) -> None:
    patient = Browser(graph.http)
    await patient.open(meeting["joinWebUrl"])
    await patient.submit("join", name="Pat")
    source = html.unescape(re.findall(r'data-source="([^"]+)"', patient.page)[0])
    before = (await graph.http.get(source)).text
    await graph.http.post(f"/_sandbox/meetings/{meeting['id']}/end")
    after = (await graph.http.get(source)).text

    assert ('data-state="lobby"' in before, 'data-state="ended"' in after) == (True, True)
    assert (await graph.http.get("/teams/static/teams.js")).status_code == 200
    assert (await graph.http.get("/favicon.ico")).status_code == 204
