"""What happens in meetings: people come, wait in the lobby, are admitted, leave; a call begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from ehr_sandbox.graph.meeting import Call, Meeting, Participant, new_call
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.times import wire_time

EventType = Literal["callStarted", "callEnded", "rosterUpdated"]
Listener = Callable[[Meeting, dict[str, Any]], None]
"""Gets each event as a roster notification shows it."""

_LEFT = "Participant has left the meeting call."
_ENDED = "The meeting was ended."


class Rooms:
    """Plays meetings."""

    def __init__(self, platform: Platform, on_event: Listener, on_end: Callable[[Meeting, Call], None]) -> None:
        self._platform = platform
        self._on_event = on_event
        self._on_end = on_end

    def join(
        self, meeting: Meeting, display_name: str, user_id: str | None = None, identity_kind: str | None = None
    ) -> Participant:
        """Let somebody come: into the meeting, or into its lobby."""
        now = self._platform.now()
        call = meeting.call
        if call is None:
            call = new_call(now)
            meeting.calls.append(call)
            self._tell(meeting, "callStarted", now)
        in_lobby = not meeting.bypasses_lobby(user_id)
        kind = "user" if user_id is not None else identity_kind or self._platform.behaviour.guest_identity
        participant = Participant(
            id=str(uuid4()),
            display_name=display_name,
            user_id=user_id,
            joined=now,
            in_lobby=in_lobby,
            identity_kind=kind,
            admitted=None if in_lobby else now,
        )
        call.participants.append(participant)
        self._tell(meeting, "rosterUpdated", now, [participant])
        return participant

    def admit(self, meeting: Meeting, participant: Participant) -> None:
        """Let somebody in from the lobby; nothing happens when they are not there any more."""
        if participant.in_lobby and participant.left is None:
            now = self._platform.now()
            participant.in_lobby, participant.admitted = False, now
            self._tell(meeting, "rosterUpdated", now, [participant])

    def leave(self, meeting: Meeting, participant: Participant) -> None:
        """Let somebody go; when nobody is left, the call ends."""
        call = meeting.call
        if call is None or participant not in call.present:
            return
        now = self._platform.now()
        self._remove(participant, now, _LEFT)
        self._tell(meeting, "rosterUpdated", now, [participant])
        if not call.present:
            self._end(meeting, call, now)

    def end(self, meeting: Meeting) -> None:
        """End the call for everybody."""
        call = meeting.call
        if call is None:
            return
        now = self._platform.now()
        present = call.present
        for participant in present:
            self._remove(participant, now, _ENDED)
        if present:
            self._tell(meeting, "rosterUpdated", now, present)
        self._end(meeting, call, now)

    def _remove(self, participant: Participant, now: datetime, reason: str) -> None:
        participant.left, participant.removed_because = now, reason

    def _end(self, meeting: Meeting, call: Call, now: datetime) -> None:
        call.ended = now
        self._tell(meeting, "callEnded", now)
        self._on_end(meeting, call)

    def _tell(
        self, meeting: Meeting, event_type: EventType, now: datetime, changed: Iterable[Participant] = ()
    ) -> None:
        event: dict[str, Any] = {
            "@odata.type": "#microsoft.graph.callevent",
            "id": str(uuid4()),
            "eventType": event_type,
            "eventDateTime": wire_time(now),
        }
        if event_type == "rosterUpdated":
            event["participants@delta"] = [self._shown(meeting, participant) for participant in changed]
        self._on_event(meeting, event)

    def _shown(self, meeting: Meeting, participant: Participant) -> dict[str, Any]:
        who: dict[str, Any] = {
            "id": participant.user_id or f"{participant.identity_kind}:{participant.id}",
            "displayName": participant.display_name,
        }
        if participant.user_id is not None:
            who["tenantId"] = meeting.tenant
        shown: dict[str, Any] = {
            "id": participant.id,
            "info": {"identity": {participant.identity_kind: who}},
            "isInLobby": participant.in_lobby,
        }
        if participant.left is not None:
            shown["removedState"] = {"reason": participant.removed_because}
        return shown


def find(meeting: Meeting, participant_id: str) -> Participant | None:
    """Return a participant of any of a meeting's calls."""
    return next((one for call in meeting.calls for one in call.participants if one.id == participant_id), None)
