"""Subscriptions, their handshake, and notifications of what happens in meetings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from contract.graph_stand_in.running import CLIENT, CLINICIAN, ORGANIZER, TENANT, GraphStandIn
from contract.graph_stand_in.subscriber import Subscriber, certificate, decrypted, meeting_events, subscribe
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.responses import JSONResponse, PlainTextResponse, Response


async def subscribed(graph: GraphStandIn, subscriber: Subscriber) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a meeting and a subscription to it."""
    meeting = await graph.meeting()
    answer = await subscribe(graph, subscriber, meeting_events(meeting["joinWebUrl"]))
    assert answer.status_code == 201, answer.text
    return meeting, answer.json()


async def come(graph: GraphStandIn, meeting: dict[str, Any], name: str, **fields: Any) -> dict[str, Any]:
    answer = await graph.http.post(
        f"/_sandbox/meetings/{meeting['id']}/participants", json={"displayName": name, **fields}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def do(graph: GraphStandIn, meeting: dict[str, Any], what: str) -> None:
    answer = await graph.http.post(f"/_sandbox/meetings/{meeting['id']}/{what}")
    assert answer.status_code == 200, answer.text


async def test_a_visit_is_told_event_by_event(graph: GraphStandIn, subscriber: Subscriber) -> None:
    meeting, subscription = await subscribed(graph, subscriber)
    patient = await come(graph, meeting, "Pat")
    await come(graph, meeting, "Ada Okafor", userId=ORGANIZER)
    await do(graph, meeting, f"participants/{patient['id']}/admit")
    await do(graph, meeting, f"participants/{patient['id']}/leave")
    await do(graph, meeting, "end")

    first = await subscriber.next()
    events = [decrypted(first), *[await subscriber.event() for _ in range(6)]]

    def seen(event: dict[str, Any]) -> tuple[Any, ...]:
        changed = event.get("participants@delta", [])
        return (event["eventType"], *((one["isInLobby"], "removedState" in one) for one in changed))

    assert subscriber.handshakes == ["/notifications", "/lifecycle"]
    assert (first["subscriptionId"], first["clientState"]) == (subscription["id"], "state-of-the-subscriber")
    assert [seen(event) for event in events] == [
        ("callStarted",),
        ("rosterUpdated", (True, False)),
        ("rosterUpdated", (False, False)),
        ("rosterUpdated", (False, False)),
        ("rosterUpdated", (False, True)),
        ("rosterUpdated", (False, True)),
        ("callEnded",),
    ]
    assert [list(one["info"]["identity"]) for one in events[1]["participants@delta"]] == [["guest"]]
    assert events[2]["participants@delta"][0]["info"]["identity"]["user"]["id"] == ORGANIZER
    assert {event["participants@delta"][0]["id"] for event in (events[1], events[3], events[4])} == {patient["id"]}


async def test_a_notification_is_signed_by_microsofts_application_for_ours(
    graph: GraphStandIn, subscriber: Subscriber
) -> None:
    meeting, _ = await subscribed(graph, subscriber)
    await come(graph, meeting, "Pat")
    token = (await subscriber.next())["validationTokens"][0]
    discovery = (await graph.http.get(f"/{TENANT}/.well-known/openid-configuration")).json()
    keys = (await graph.http.get(discovery["jwks_uri"])).json()

    claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"]).claims

    assert claims["appid"] == claims["azp"] == "0bf30f3b-4a52-48df-9a82-234910c4a086"
    assert (claims["aud"], claims["tid"], claims["iss"]) == (CLIENT, TENANT, discovery["issuer"])


async def test_an_application_has_one_subscription_to_a_meeting(graph: GraphStandIn, subscriber: Subscriber) -> None:
    meeting, subscription = await subscribed(graph, subscriber)
    path = f"/v1.0/subscriptions/{subscription['id']}"

    second = await subscribe(graph, subscriber, meeting_events(meeting["joinWebUrl"]))
    removed = await graph.call("DELETE", path)
    third = await subscribe(graph, subscriber, meeting_events(meeting["joinWebUrl"]))

    assert [answer.status_code for answer in (second, removed, third)] == [409, 204, 201]


@pytest.mark.parametrize(
    "changes",
    [
        {"notificationUrl": "http://plain.example/notifications"},
        {"notificationUrl": "https://127.0.0.1:1/nobody"},
        {"encryptionCertificate": None},
        {"encryptionCertificateId": None},
        {"encryptionCertificate": "bm8gY2VydGlmaWNhdGU="},
        {"encryptionCertificate": certificate(rsa.generate_private_key(public_exponent=65537, key_size=1024))},
        {"changeType": "created"},
        {"clientState": "x" * 129},
        {"expirationDateTime": "2020-01-01T00:00:00Z"},
        {"resource": "users"},
        {"surprise": 1},
    ],
)
async def test_a_subscription_that_is_not_right_is_refused(
    graph: GraphStandIn, subscriber: Subscriber, changes: dict[str, Any]
) -> None:
    resource = meeting_events((await graph.meeting())["joinWebUrl"])

    answer = await subscribe(graph, subscriber, changes.pop("resource", resource), **changes)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")
    assert (await graph.http.get("/_sandbox/subscriptions")).json() == []


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("another token"),
        PlainTextResponse("", status_code=202),
        JSONResponse("token"),
        Response(status_code=500),
    ],
)
async def test_a_url_that_does_not_pass_the_handshake_is_refused(
    graph: GraphStandIn, subscriber: Subscriber, answer: Response
) -> None:
    subscriber.handshake = answer
    refused = await subscribe(graph, subscriber, meeting_events((await graph.meeting())["joinWebUrl"]))

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ValidationError")


async def test_a_join_url_that_is_not_escaped_once_more_names_no_meeting(
    graph: GraphStandIn, subscriber: Subscriber
) -> None:
    url = (await graph.meeting())["joinWebUrl"]
    resource = f"communications/onlineMeetings(joinWebUrl='{url}')/meetingCallEvents"

    assert (await subscribe(graph, subscriber, resource)).status_code == 404


async def test_a_subscription_lives_three_days_at_most_and_is_renewed(
    graph: GraphStandIn, subscriber: Subscriber
) -> None:
    meeting, subscription = await subscribed(graph, subscriber)
    path = f"/beta/subscriptions/{subscription['id']}"

    async def renew(**ahead: float) -> int:
        until = (graph.clock.time + timedelta(**ahead)).isoformat()
        return (await graph.call("PATCH", path, {"expirationDateTime": until})).status_code

    statuses = [await renew(days=3, minutes=5), await renew(days=3)]
    graph.clock.advance(days=2, hours=23)
    statuses.append((await graph.call("GET", path)).status_code)
    graph.clock.advance(hours=1)
    statuses.append((await graph.call("GET", path)).status_code)
    await come(graph, meeting, "Pat")

    assert statuses == [400, 200, 200, 404]
    assert (await graph.http.get("/_sandbox/notifications")).json() == []


async def test_meeting_events_are_beta_only(graph: GraphStandIn, subscriber: Subscriber) -> None:
    body = {
        "changeType": "updated",
        "notificationUrl": f"{subscriber.url}/notifications",
        "resource": meeting_events((await graph.meeting())["joinWebUrl"]),
        "expirationDateTime": (graph.clock.time + timedelta(hours=1)).isoformat(),
    }
    statuses = [
        (await graph.call("POST", f"/{version}/subscriptions", body)).status_code for version in ("v1.0", "beta")
    ]
    await come(graph, await graph.meeting(), "Pat")

    assert statuses == [400, 201]
    assert "encryptedContent" not in await subscriber.next()


async def test_a_notification_that_is_not_taken_comes_again(graph: GraphStandIn, subscriber: Subscriber) -> None:
    await graph.settings(resend_after_s=[0.01])
    meeting, _ = await subscribed(graph, subscriber)
    subscriber.answers = [500, 503]
    await come(graph, meeting, "Pat", userId=CLINICIAN)

    types = sorted([(await subscriber.event())["eventType"] for _ in range(4)])

    assert types == ["callStarted", "callStarted", "rosterUpdated", "rosterUpdated"]


async def test_an_answer_that_takes_too_long_counts_as_none(graph: GraphStandIn, subscriber: Subscriber) -> None:
    await graph.settings(answer_within_s=0.05, resend_after_s=[0.01])
    meeting, _ = await subscribed(graph, subscriber)
    subscriber.delay_s = 0.2
    await come(graph, meeting, "Pat")
    first, second = await subscriber.event(), await subscriber.event()
    log = (await graph.http.get("/_sandbox/notifications")).json()

    assert log[0]["attempts"][0]["status"] is None
    assert {first["eventType"], second["eventType"]} <= {"callStarted", "rosterUpdated"}


@pytest.mark.parametrize(
    ("spoiled", "expected"),
    [
        ({"drop": 1}, ["rosterUpdated"]),
        ({"duplicate": 1}, ["callStarted", "callStarted", "rosterUpdated"]),
        ({"reorder": 2}, ["rosterUpdated", "callStarted"]),
        ({"delay_s": 0.05}, ["callStarted", "rosterUpdated"]),
    ],
)
async def test_notifications_are_spoiled_on_request(
    graph: GraphStandIn, subscriber: Subscriber, spoiled: dict[str, Any], expected: list[str]
) -> None:
    meeting, _ = await subscribed(graph, subscriber)
    await graph.settings(**spoiled)
    await come(graph, meeting, "Pat")

    assert [(await subscriber.event())["eventType"] for _ in expected] == expected


async def test_reauthorization_is_asked_for_and_nothing_more_comes_without(
    graph: GraphStandIn, subscriber: Subscriber
) -> None:
    meeting, subscription = await subscribed(graph, subscriber)
    asked = await graph.http.post(
        f"/_sandbox/subscriptions/{subscription['id']}/lifecycle",
        json={"event": "reauthorizationRequired", "pause": True},
    )
    lifecycle = await subscriber.next()
    await come(graph, meeting, "Lost")
    answer = await graph.call("POST", f"/beta/subscriptions/{subscription['id']}/reauthorize")
    await come(graph, meeting, "Told")
    told = await subscriber.event()

    assert (asked.status_code, answer.status_code) == (202, 204)
    assert lifecycle["lifecycleEvent"] == "reauthorizationRequired"
    assert lifecycle["clientState"] == "state-of-the-subscriber"
    assert told["participants@delta"][0]["info"]["identity"]["guest"]["displayName"] == "Told"


async def test_reauthorization_is_asked_for_before_the_end(graph: GraphStandIn, subscriber: Subscriber) -> None:
    await subscribed(graph, subscriber)
    await graph.settings(reauthorize_before_s=3600)
    graph.clock.advance(hours=47, minutes=30)

    assert (await subscriber.next())["lifecycleEvent"] == "reauthorizationRequired"


@pytest.mark.parametrize(
    ("scope", "user", "waits"),
    [
        ("organization", None, True),
        ("organization", CLINICIAN, False),
        ("organizer", CLINICIAN, True),
        ("organizer", ORGANIZER, False),
        ("everyone", None, False),
        ("invited", CLINICIAN, True),
    ],
)
async def test_who_waits_in_the_lobby_is_the_lobbys_rule(
    graph: GraphStandIn, scope: str, user: str | None, waits: bool
) -> None:
    meeting = await graph.meeting()
    lobby = {"lobbyBypassSettings": {"scope": scope}}
    await graph.call("PATCH", f"/v1.0/users/{ORGANIZER}/onlineMeetings/{meeting['id']}", lobby)

    assert (await come(graph, meeting, "Somebody", userId=user))["inLobby"] is waits


async def test_a_co_organizer_never_waits(graph: GraphStandIn) -> None:
    people = {"attendees": [{"identity": {"user": {"id": CLINICIAN}}, "role": "coorganizer"}]}
    meeting = await graph.meeting(participants=people)
    lobby = {"lobbyBypassSettings": {"scope": "organizer"}}
    await graph.call("PATCH", f"/v1.0/users/{ORGANIZER}/onlineMeetings/{meeting['id']}", lobby)

    assert (await come(graph, meeting, "Ada", userId=CLINICIAN))["inLobby"] is False
