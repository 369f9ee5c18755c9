"""What a notification of a meeting's call events says of the visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from ehr_connector.teams.roster import CallEvent, events_of
from ehr_connector.visits.events import Kind, Side, VisitEvent

TENANT = "72F988BF-0000-4000-8000-000000000001"
WHEN = "2026-01-31T12:00:00.1234567Z"
NAME = "Zebediah Quillfeather"


def named(what: str, text: str) -> str:
    return f"{what}<{text}>"


def told(*participants: dict[str, Any], event_type: str = "rosterUpdated", **changes: Any) -> Sequence[VisitEvent]:
    event = {"id": "e1", "eventType": event_type, "eventDateTime": WHEN, "participants@delta": participants} | changes
    return events_of(CallEvent.model_validate(event), TENANT, named)


def somebody(kind: str = "guest", tenant: str | None = None, **changes: Any) -> dict[str, Any]:
    who: dict[str, Any] = {"id": "u1", "displayName": NAME, "tenantId": tenant}
    return {"id": "p1", "info": {"identity": {"@odata.type": "x", kind: who}}, "isInLobby": False} | changes


def test_who_waits_is_in_the_lobby() -> None:
    (event,) = told(somebody(isInLobby=True))
    assert (event.kind, event.code, event.participant) == (Kind.IN_LOBBY, Side.PATIENT, "participant<p1>")
    assert event.happened_at.isoformat() == "2026-01-31T12:00:00.123456+00:00"


def test_who_was_removed_has_left_even_from_the_lobby() -> None:
    (event,) = told(somebody(isInLobby=True, removedState={"reason": "Participant has left the meeting call."}))
    assert event.kind is Kind.LEFT


@pytest.mark.parametrize(
    ("identity", "side"),
    [
        (("user", TENANT.lower()), Side.PROVIDER),
        (("user", TENANT), Side.PROVIDER),
        (("user", "another"), Side.PATIENT),
        (("user", None), Side.PATIENT),
        (("guest", None), Side.PATIENT),
        (("guest", TENANT), Side.PATIENT),
        (("azureCommunicationServicesUser", None), Side.PATIENT),
        (("phone", None), Side.PATIENT),
    ],
)
def test_only_an_account_of_the_organisation_is_a_clinician(identity: tuple[str, str | None], side: Side) -> None:
    (event,) = told(somebody(*identity))
    assert (event.kind, event.code) == (Kind.IN_VISIT, side)


def test_an_account_of_the_organisation_is_a_clinician_in_the_lobby_too() -> None:
    assert [event.code for event in told(somebody("user", TENANT, isInLobby=True))] == [Side.PROVIDER]


def test_who_has_no_identity_is_a_patient() -> None:
    assert [event.code for event in told({"id": "p1", "isInLobby": False})] == [Side.PATIENT]


@pytest.mark.parametrize("kind", ["application", "applicationInstance", "device"])
def test_a_recorder_is_nobody(kind: str) -> None:
    assert told(somebody(kind)) == []


def test_a_change_that_says_nothing_of_the_lobby_moves_nobody() -> None:
    assert told(somebody(isInLobby=None)) == []


def test_the_call_begins_and_ends() -> None:
    assert [event.kind for event in told(event_type="callStarted")] == [Kind.CALL_STARTED]
    assert [event.kind for event in told(event_type="callEnded")] == [Kind.CALL_ENDED]


def test_an_event_that_is_not_known_says_nothing() -> None:
    assert list(told(event_type="somethingNew")) == []


def test_a_repetition_has_the_same_keys_and_another_event_has_others() -> None:
    first, again = told(somebody()), told(somebody())
    later = told(somebody(), eventDateTime="2026-01-31T12:00:01Z")
    elsewhere = told(somebody(id="p2"))
    assert [one.key for one in first] == [one.key for one in again]
    assert len({first[0].key, later[0].key, elsewhere[0].key}) == 3


def test_no_name_is_in_what_is_told_nor_in_an_error() -> None:
    assert NAME not in repr(told(somebody()))
    with pytest.raises(ValidationError) as refused:
        told(somebody(isInLobby=NAME))
    assert NAME not in str(refused.value)
