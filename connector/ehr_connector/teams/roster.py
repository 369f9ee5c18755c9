"""What a notification of a meeting's call events says, as events of the visit. Pure; names are not read.

Source: Microsoft Graph, "Get change notifications for Microsoft Teams meeting call updates".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ehr_connector.visits.events import Kind, Side, VisitEvent

_MOST_PARTICIPANTS = 1000
NO_PERSON = frozenset({"application", "applicationInstance", "device"})
"""Identities of recorders, transcribers and bots."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)


class _User(_Model):
    tenant_id: str | None = None


class _Info(_Model):
    identity: dict[str, Any] | None = Field(default=None, repr=False)

    @property
    def is_person(self) -> bool:
        kinds = {kind for kind, who in (self.identity or {}).items() if who is not None and not kind.startswith("@")}
        return not kinds or bool(kinds - NO_PERSON)

    @property
    def tenant_id(self) -> str | None:
        user = (self.identity or {}).get("user")
        return _User.model_validate(user).tenant_id if isinstance(user, dict) else None


class _Participant(_Model):
    id: Annotated[str, Field(min_length=1, max_length=256)]
    info: _Info | None = None
    is_in_lobby: bool | None = None
    removed_state: dict[str, Any] | None = Field(default=None, repr=False)


class CallEvent(_Model):
    """The decrypted content of a notification."""

    id: Annotated[str, Field(max_length=512)] = ""
    event_type: str
    event_date_time: datetime
    participants: Annotated[list[_Participant], Field(max_length=_MOST_PARTICIPANTS, alias="participants@delta")] = (
        Field(default_factory=list[_Participant])
    )


def events_of(event: CallEvent, tenant_id: str, name: Callable[[str, str], str]) -> Sequence[VisitEvent]:
    """Return the events of the visit, the same for a repetition.

    `name` gives the keyed name of something, by what it is (`participant`, `call event`) and its text; `tenant_id` is
    the organisation's: who has an account there is a clinician.
    """

    def key(*parts: str) -> str:
        return name("call event", "\n".join((event.id, event.event_date_time.isoformat(), *parts)))

    when = event.event_date_time
    match event.event_type:
        case "callStarted":
            return (VisitEvent(key("started"), Kind.CALL_STARTED, when),)
        case "callEnded":
            return (VisitEvent(key("ended"), Kind.CALL_ENDED, when),)
        case "rosterUpdated":
            found: list[VisitEvent] = []
            for one in event.participants:
                kind = _kind(one)
                if kind is not None and (one.info is None or one.info.is_person):
                    code = None if kind is Kind.LEFT else _side(one, tenant_id)
                    found.append(VisitEvent(key(one.id, kind), kind, when, code, name("participant", one.id)))
            return found
        case _:
            return ()


def _kind(participant: _Participant) -> Kind | None:
    """Return where a participant is; a change of something else, such as a muted microphone, is none of ours."""
    if participant.removed_state is not None:
        return Kind.LEFT
    if participant.is_in_lobby is None:
        return None
    return Kind.IN_LOBBY if participant.is_in_lobby else Kind.IN_VISIT


def _side(participant: _Participant, tenant_id: str) -> Side:
    found = participant.info.tenant_id if participant.info else None
    return Side.PROVIDER if found is not None and found.lower() == tenant_id.lower() else Side.PATIENT
