"""An online meeting, its calls, and who takes part in them."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from ehr_sandbox.graph.times import wire_time
from ehr_sandbox.graph.world import Tenant

HIDDEN_ENUM_MEMBERS = frozenset({"coorganizer", "invited", "organizationExcludingGuests"})
"""Members that came after an enumeration was published: `unknownFutureValue` to who does not ask for them."""


@dataclass
class Participant:
    """Somebody in a call, or in its lobby."""

    id: str
    display_name: str
    user_id: str | None
    joined: datetime
    in_lobby: bool
    identity_kind: str = "user"
    """`user`, or what a roster calls those who did not sign in."""
    admitted: datetime | None = None
    left: datetime | None = None
    removed_because: str | None = None

    def truth(self) -> dict[str, Any]:
        """Return what is known."""
        return {
            "id": self.id,
            "displayName": self.display_name,
            "userId": self.user_id,
            "inLobby": self.in_lobby and self.left is None,
            "joined": wire_time(self.joined),
            "admitted": None if self.admitted is None else wire_time(self.admitted),
            "left": None if self.left is None else wire_time(self.left),
        }


@dataclass
class Call:
    """One session of a meeting: from the first to come until the last has left."""

    id: str
    started: datetime
    participants: list[Participant] = field(default_factory=list[Participant])
    ended: datetime | None = None

    @property
    def present(self) -> list[Participant]:
        """Those in the call and in its lobby."""
        return [participant for participant in self.participants if participant.left is None]


@dataclass
class Meeting:
    """An online meeting."""

    tenant: str
    organizer: str
    address: str
    """The simulator's, for the join URL."""
    external_id: str | None
    created: datetime
    start: datetime
    end: datetime
    subject: str | None = None
    attendees: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lobby: dict[str, Any] = field(default_factory=lambda: {"scope": "organization", "isDialInBypassEnabled": False})
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    calls: list[Call] = field(default_factory=list[Call])
    key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(36), b"AA").decode())
    """48 characters, from which every other name of the meeting is made."""

    @property
    def thread_id(self) -> str:
        """The meeting's chat."""
        return f"19:meeting_{self.key}@thread.v2"

    @property
    def id(self) -> str:
        """Its id, opaque as Graph's: organizer and thread in base64."""
        return base64.b64encode(f"1*{self.organizer}*0**{self.thread_id}".encode()).decode()

    @property
    def join_web_url(self) -> str:
        """Its address for everybody, as long as those of teams.microsoft.com: 243 characters and more."""
        thread = f"19%3ameeting_{self.key}%40thread.v2"
        context = f"%7b%22Tid%22%3a%22{self.tenant}%22%2c%22Oid%22%3a%22{self.organizer}%22%7d"
        return f"{self.address}/teams/meet/meetup-join/{thread}/0?context={context}"

    @property
    def virtual_appointment_url(self) -> str:
        """Its address for patients, without an app."""
        thread = quote(self.thread_id, safe="")
        return f"{self.address}/teams/visit/webrtc-svc/api/route?tid={self.tenant}&convId={thread}"

    @property
    def call(self) -> Call | None:
        """The call that is going on."""
        return self.calls[-1] if self.calls and self.calls[-1].ended is None else None

    def role_of(self, user_id: str | None) -> str:
        """Return `organizer`, `coorganizer`, `presenter`, `attendee`, or `none` for who is not invited."""
        if user_id == self.organizer:
            return "organizer"
        for attendee in self.attendees:
            if user_id is not None and attendee["identity"]["user"]["id"] == user_id:
                return attendee.get("role") or "attendee"
        return "none"

    def bypasses_lobby(self, user_id: str | None) -> bool:
        """Tell whether somebody of the tenant (or nobody known) goes straight in."""
        if self.role_of(user_id) in {"organizer", "coorganizer"}:
            return True
        match self.lobby["scope"]:
            case "everyone":
                return True
            case "organizer":
                return False
            case "invited":
                return self.role_of(user_id) != "none"
            case _:
                return user_id is not None

    def to_wire(self, tenant: Tenant, *, all_enum_members: bool) -> dict[str, Any]:
        """Return the meeting as Graph shows it."""

        def shown(value: str | None) -> str | None:
            return "unknownFutureValue" if value in HIDDEN_ENUM_MEMBERS and not all_enum_members else value

        organizer = tenant.user(self.organizer)
        return {
            "@odata.context": f"{self.address}/v1.0/$metadata#users('{self.organizer}')/onlineMeetings/$entity",
            "id": self.id,
            "creationDateTime": wire_time(self.created),
            "startDateTime": wire_time(self.start),
            "endDateTime": wire_time(self.end),
            "joinWebUrl": self.join_web_url,
            "joinUrl": self.join_web_url,
            "subject": self.subject,
            "isBroadcast": False,
            "externalId": self.external_id,
            "videoTeleconferenceId": str(int.from_bytes(self.key[:4].encode())),
            "isEntryExitAnnounced": False,
            "allowedPresenters": "everyone",
            "allowMeetingChat": "enabled",
            "allowTeamworkReactions": True,
            "allowAttendeeToEnableMic": True,
            "allowAttendeeToEnableCamera": True,
            "allowRecording": True,
            "allowTranscription": True,
            "recordAutomatically": False,
            **self.options,
            "participants": {
                "organizer": {
                    "upn": None if organizer is None else organizer.user_principal_name,
                    "role": "presenter",
                    "identity": {"user": {"id": self.organizer, "displayName": None, "tenantId": self.tenant}},
                },
                "attendees": [{**attendee, "role": shown(attendee.get("role"))} for attendee in self.attendees],
            },
            "lobbyBypassSettings": {**self.lobby, "scope": shown(self.lobby["scope"])},
            "audioConferencing": None,
            "chatInfo": {"threadId": self.thread_id, "messageId": "0", "replyChainMessageId": None},
        }


def new_call(now: datetime) -> Call:
    """Return a call that begins now."""
    return Call(id=str(uuid4()), started=now)
