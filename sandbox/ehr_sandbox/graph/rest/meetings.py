"""Online meetings: createOrGet, create, get, update, delete, and the address for patients."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.graph.errors import GraphError, bad_request
from ehr_sandbox.graph.meeting import Meeting
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.rest.gate import Call, Gate, graph_json
from ehr_sandbox.graph.rest.users import is_licensed_for_teams
from ehr_sandbox.graph.times import time_of
from ehr_sandbox.graph.world import User

_WRITE = ("OnlineMeetings.ReadWrite.All",)
_READ = (*_WRITE, "OnlineMeetings.Read.All")
_APPOINTMENTS = ("VirtualAppointment.Read.All", "VirtualAppointment.ReadWrite.All")

_CREATE_OR_GET = frozenset({"externalId", "startDateTime", "endDateTime", "subject", "participants"})
"""Source: Graph, "onlineMeeting: createOrGet". The lobby is not among them."""

_OPTIONS: dict[str, type | frozenset[str]] = {
    "allowAttendeeToEnableCamera": bool,
    "allowAttendeeToEnableMic": bool,
    "allowBreakoutRooms": bool,
    "allowCopyingAndSharingMeetingContent": bool,
    "allowedLobbyAdmitters": frozenset({"organizerAndCoOrganizersAndPresenters", "organizerAndCoOrganizers"}),
    "allowedPresenters": frozenset({"everyone", "organization", "roleIsPresenter", "organizer"}),
    "allowLiveShare": frozenset({"enabled", "disabled"}),
    "allowMeetingChat": frozenset({"enabled", "disabled", "limited"}),
    "allowPowerPointSharing": bool,
    "allowRecording": bool,
    "allowTeamworkReactions": bool,
    "allowTranscription": bool,
    "allowWhiteboard": bool,
    "anonymizeIdentityForRoles": list,
    "isEntryExitAnnounced": bool,
    "recordAutomatically": bool,
    "watermarkProtection": dict,
}
"""Source: Graph, "Update onlineMeeting": what may be set, besides times, subject, participants and lobby."""

_UPDATABLE = frozenset({*_OPTIONS, "startDateTime", "endDateTime", "subject", "participants", "lobbyBypassSettings"})
_LOBBY_SCOPES = frozenset(
    {
        *("organizer", "organization", "organizationAndFederated", "everyone"),
        *("invited", "organizationExcludingGuests"),
    }
)
_ROLES = frozenset({"attendee", "presenter", "coorganizer"})
_FILTER = re.compile(r"joinweburl eq '(?P<url>[^']+)'", re.IGNORECASE)

_object = TypeAdapter(dict[str, Any])
_objects = TypeAdapter(list[dict[str, Any]])


class Meetings:
    """All meetings, and the handlers of Graph's calls on them."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._by_id: dict[str, Meeting] = {}
        self._by_join_web_url: dict[str, Meeting] = {}
        self._by_thread: dict[str, Meeting] = {}
        self._by_external_id: dict[tuple[str, str, str | None], Meeting] = {}
        self._made: Counter[tuple[str, str, str]] = Counter()

    def routes(self, gate: Gate) -> list[Route]:
        """Return the routes."""
        meetings, meeting = "/users/{user}/onlineMeetings", "/users/{user}/onlineMeetings/{meeting:path}"
        return [
            *gate.routes("POST", f"{meetings}/createOrGet", self._create_or_get, application=_WRITE),
            *gate.routes("POST", meetings, self._create, application=_WRITE),
            *gate.routes("GET", meetings, self._find, application=_READ),
            *gate.routes(
                "GET",
                f"{meeting}/getVirtualAppointmentJoinWebUrl",
                self._appointment_url,
                application=_APPOINTMENTS,
            ),
            *gate.routes("GET", meeting, self._get, application=_READ),
            *gate.routes("PATCH", meeting, self._update, application=_WRITE),
            *gate.routes("DELETE", meeting, self._delete, application=_WRITE),
        ]

    @property
    def all(self) -> list[Meeting]:
        """Every meeting, oldest first."""
        return list(self._by_id.values())

    def by_id(self, meeting_id: str) -> Meeting | None:
        """Return the meeting of that id."""
        return self._by_id.get(meeting_id)

    def by_join_web_url(self, url: str) -> Meeting | None:
        """Return the meeting of that join URL."""
        return self._by_join_web_url.get(url)

    def by_thread(self, thread_id: str) -> Meeting | None:
        """Return the meeting of that chat."""
        return self._by_thread.get(thread_id)

    async def _create_or_get(self, call: Call) -> Response:
        user = self._organizer(call, "Create meeting")
        body = call.json()
        _refuse_others(body, _CREATE_OR_GET)
        external_id = body.get("externalId")
        if not isinstance(external_id, str) or not external_id:
            raise bad_request("'externalId' is a required parameter.")
        start, end = self._times(body)
        found = self._by_external_id.get((call.caller.tenant.id, user.id, external_id))
        if found is not None:
            # The body changes nothing: a meeting that is found keeps its times and its people.
            return _shown(call, found)
        return _shown(call, self._new(call, user, external_id, start, end, body), status=201)

    async def _create(self, call: Call) -> Response:
        user = self._organizer(call, "Create meeting")
        body = call.json()
        _refuse_others(body, _UPDATABLE)
        start, end = self._times(body)
        return _shown(call, self._new(call, user, None, start, end, body), status=201)

    def _new(
        self, call: Call, user: User, external_id: str | None, start: datetime, end: datetime, body: dict[str, Any]
    ) -> Meeting:
        now = self._platform.now()
        meeting = Meeting(call.caller.tenant.id, user.id, call.address, external_id, now, start, end)
        _apply(call, meeting, body)
        month = (meeting.tenant, user.id, f"{now:%Y-%m}")
        if self._made[month] >= self._platform.behaviour.meetings_a_month:
            # Source: Graph, "Throttling limits": 2,000 meetings for each user and month.
            raise GraphError(
                429,
                "TooManyRequests",
                f"The user has made {self._made[month]} meetings this month, which is the limit.",
                headers={"Retry-After": "3600"},
            )
        self._made[month] += 1
        self._by_id[meeting.id] = meeting
        self._by_join_web_url[meeting.join_web_url] = meeting
        self._by_thread[meeting.thread_id] = meeting
        if external_id is not None:
            self._by_external_id[meeting.tenant, user.id, external_id] = meeting
        return meeting

    async def _find(self, call: Call) -> Response:
        user = self._organizer(call, "Get meeting")
        wanted = _FILTER.fullmatch(call.request.query_params.get("$filter", "").strip())
        if wanted is None:
            raise bad_request("A filter on 'JoinWebUrl' is required.")
        meeting = self.by_join_web_url(wanted["url"])
        if meeting is None or meeting.organizer != user.id:
            raise _not_found()
        shown = meeting.to_wire(call.caller.tenant, all_enum_members=call.prefers("include-unknown-enum-members"))
        context = shown.pop("@odata.context").removesuffix("/$entity")
        return graph_json({"@odata.context": context, "value": [shown]})

    async def _get(self, call: Call) -> Response:
        return _shown(call, self._meeting(call, "Get meeting"))

    async def _update(self, call: Call) -> Response:
        meeting = self._meeting(call, "Update meeting")
        body = call.json()
        _refuse_others(body, _UPDATABLE)
        if ("startDateTime" in body) != ("endDateTime" in body):
            raise bad_request("'startDateTime' and 'endDateTime' must be given together.")
        times = self._times(body) if "startDateTime" in body else (meeting.start, meeting.end)
        _apply(call, meeting, body)
        meeting.start, meeting.end = times
        return _shown(call, meeting)

    async def _delete(self, call: Call) -> Response:
        meeting = self._meeting(call, "Delete meeting")
        del self._by_id[meeting.id], self._by_join_web_url[meeting.join_web_url], self._by_thread[meeting.thread_id]
        self._by_external_id.pop((meeting.tenant, meeting.organizer, meeting.external_id), None)
        return Response(status_code=204)

    async def _appointment_url(self, call: Call) -> Response:
        if not self._platform.behaviour.virtual_appointment_for_applications:
            # The other of Microsoft's two pages: "Application: Not supported."
            raise GraphError(403, "Forbidden", "Application permissions are not supported for this call.")
        meeting = self._meeting(call, "Get meeting")
        context = f"{call.address}/v1.0/$metadata#Edm.String"
        return graph_json({"@odata.context": context, "value": meeting.virtual_appointment_url})

    def _meeting(self, call: Call, action: str) -> Meeting:
        user = self._organizer(call, action)
        meeting = self.by_id(call.request.path_params["meeting"])
        if meeting is None or (meeting.tenant, meeting.organizer) != (call.caller.tenant.id, user.id):
            raise _not_found()
        return meeting

    def _organizer(self, call: Call, action: str) -> User:
        """Return whose meetings the call is about.

        Raises:
            GraphError: No such user, no application access policy, no Teams.
        """
        wanted = call.request.path_params["user"]
        user = call.caller.tenant.user(wanted)
        if user is None:
            raise GraphError(404, "NotFound", f"User '{wanted}' was not found.")
        if user.id != wanted.lower():
            raise bad_request("The user in the path must be named by object id.")
        if not user.in_application_access_policy:
            # Source: Graph, "Allow applications to access online meetings on behalf of a user". The page does not
            # print the status; 403 is what callers report.
            raise GraphError(
                403,
                "Unauthorized",
                f"App {call.caller.app} is not authorized to {action} on behalf of user {user.id}",
            )
        if not user.account_enabled or not is_licensed_for_teams(user):
            raise GraphError(403, "Forbidden", f"User {user.id} is not licensed for Teams.")
        return user

    def _times(self, body: dict[str, Any]) -> tuple[datetime, datetime]:
        if "startDateTime" not in body:
            if "endDateTime" in body:
                raise bad_request("'endDateTime' must not be given without 'startDateTime'.")
            start = self._platform.now()
            return start, start + timedelta(hours=1)
        start = time_of(body["startDateTime"], "startDateTime")
        end = time_of(body["endDateTime"], "endDateTime") if "endDateTime" in body else start + timedelta(hours=1)
        if end < start:
            raise bad_request("'endDateTime' must not be earlier than 'startDateTime'.")
        return start, end


def _shown(call: Call, meeting: Meeting, *, status: int = 200) -> Response:
    everything = call.prefers("include-unknown-enum-members")
    return graph_json(meeting.to_wire(call.caller.tenant, all_enum_members=everything), status)


def _refuse_others(body: dict[str, Any], known: frozenset[str]) -> None:
    if unknown := [name for name in body if name not in known and not name.startswith("@odata.")]:
        raise bad_request(f"The property '{unknown[0]}' cannot be set by this call.")


def _apply(call: Call, meeting: Meeting, body: dict[str, Any]) -> None:
    """Set what a body says, all or nothing; times are the caller's part."""
    options: dict[str, Any] = {}
    for name, kind in _OPTIONS.items():
        if name in body:
            fits = body[name] in kind if isinstance(kind, frozenset) else isinstance(body[name], kind)
            if not fits:
                raise _invalid(name)
            options[name] = body[name]
    lobby = {**meeting.lobby, **_object_of(body.get("lobbyBypassSettings", {}), "lobbyBypassSettings")}
    lobby.pop("@odata.type", None)
    if lobby.keys() != {"scope", "isDialInBypassEnabled"} or lobby["scope"] not in _LOBBY_SCOPES:
        raise _invalid("lobbyBypassSettings")
    if not isinstance(lobby["isDialInBypassEnabled"], bool):
        raise _invalid("lobbyBypassSettings/isDialInBypassEnabled")
    subject = body.get("subject", meeting.subject)
    if subject is not None and not isinstance(subject, str):
        raise _invalid("subject")
    people = _object_of(body.get("participants", {}), "participants")
    attendees = _attendees(call, meeting, people)
    meeting.options |= options
    meeting.lobby, meeting.subject, meeting.attendees = lobby, subject, attendees


def _attendees(call: Call, meeting: Meeting, people: dict[str, Any]) -> list[dict[str, Any]]:
    _refuse_others(people, frozenset({"organizer", "attendees"}))
    if people.get("organizer"):
        identity = _object_of(people["organizer"], "organizer").get("identity", {})
        if identity.get("user", {}).get("id", meeting.organizer) != meeting.organizer:
            raise bad_request("The organizer of a meeting cannot be changed.")
    if "attendees" not in people:
        return meeting.attendees
    try:
        given = _objects.validate_python(people["attendees"])
    except ValidationError as exc:
        raise _invalid("participants/attendees") from exc
    return [_attendee(call, entry) for entry in given]


def _attendee(call: Call, entry: dict[str, Any]) -> dict[str, Any]:
    _refuse_others(entry, frozenset({"identity", "upn", "role"}))
    role = entry.get("role")
    if role is not None and role not in _ROLES:
        raise _invalid("participants/attendees/role")
    identity = _object_of(entry.get("identity") or {}, "identity")
    wanted = _object_of(identity.get("user") or {}, "identity/user").get("id") or entry.get("upn")
    user = call.caller.tenant.user(str(wanted))
    if user is None and role == "coorganizer":
        # Source: Graph, onlineMeetingRole: presenters and co-organizers are registered users.
        raise bad_request("A co-organizer must be a user of the tenant.")
    object_id = str(wanted) if user is None else user.id
    upn = entry.get("upn") or (None if user is None else user.user_principal_name)
    shown = {"id": object_id, "displayName": None, "tenantId": call.caller.tenant.id}
    return {"upn": upn, "role": role, "identity": {"user": shown}}


def _object_of(value: Any, name: str) -> dict[str, Any]:
    try:
        return _object.validate_python(value)
    except ValidationError as exc:
        raise _invalid(name) from exc


def _invalid(name: str) -> GraphError:
    return bad_request(f"Invalid value specified for property '{name}' of resource 'OnlineMeeting'.")


def _not_found() -> GraphError:
    return GraphError(404, "NotFound", "The meeting was not found.")
