"""The simulator's own controls under `/_sandbox`: the world, meetings, notifications. They need no authentication."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ehr_sandbox.graph.errors import GraphError, bad_request
from ehr_sandbox.graph.meeting import Meeting, Participant
from ehr_sandbox.graph.notify.courier import Courier
from ehr_sandbox.graph.notify.notifications import Lifecycle, Notifications
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.records.call_records import CallRecords
from ehr_sandbox.graph.records.record import Quality
from ehr_sandbox.graph.rest.meetings import Meetings
from ehr_sandbox.graph.settings import Behaviour
from ehr_sandbox.graph.teams.rooms import Rooms, find
from ehr_sandbox.graph.times import wire_time
from ehr_sandbox.graph.world import World

CONTROLS = {
    "GET /_sandbox/world": "Tenants, applications and users.",
    "PUT /_sandbox/world": "Replace them.",
    "PATCH /_sandbox/users/{id}": "Change fields of a user: licenses, accountEnabled, inApplicationAccessPolicy, ….",
    "PATCH /_sandbox/apps/{clientId}": "Change fields of an application: appRoles, secrets, redirectUris, ….",
    "GET /_sandbox/settings": "Limits, life times, how badly notifications are delivered.",
    "PATCH /_sandbox/settings": "Change them.",
    "GET /_sandbox/meetings": "The truth about every meeting: settings, calls, who waits, who is in it.",
    "POST /_sandbox/meetings/{id}/participants": "Somebody comes: {displayName, userId?, identityKind?}.",
    "POST /_sandbox/meetings/{id}/participants/{pid}/admit": "They are admitted from the lobby.",
    "POST /_sandbox/meetings/{id}/participants/{pid}/leave": "They leave.",
    "POST /_sandbox/meetings/{id}/end": "The call ends for everybody.",
    "GET /_sandbox/subscriptions": "The subscriptions that are alive.",
    "POST /_sandbox/subscriptions/{id}/lifecycle": "Send {event, pause?}; pause withholds notifications until renewed.",
    "GET /_sandbox/notifications": "Every notification, what became of it, and each attempt.",
    "POST /_sandbox/callRecords/{id}/revise": "The record's next version: {quality?} is good or poor.",
    "POST /_sandbox/notifications/release": "Send those that are held to be reordered, last one first.",
}

_object = TypeAdapter(dict[str, Any])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class _Newcomer(_Body):
    display_name: str = Field(min_length=1)
    user_id: str | None = None
    identity_kind: Literal["guest", "azureCommunicationServicesUser", "acsUser", "phone"] | None = None


class _LifecycleRequest(_Body):
    event: Lifecycle
    pause: bool = False


class _Revision(_Body):
    quality: Quality | None = None


class Controls:
    """The handlers of the controls."""

    def __init__(
        self,
        platform: Platform,
        meetings: Meetings,
        rooms: Rooms,
        notifications: Notifications,
        courier: Courier,
        records: CallRecords,
    ) -> None:
        self._platform = platform
        self._meetings = meetings
        self._rooms = rooms
        self._notifications = notifications
        self._courier = courier
        self._records = records

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted at `/_sandbox`."""
        one = "/meetings/{meeting}/participants/{participant}"
        return [
            Route("/world", self._get_world, methods=["GET"]),
            Route("/world", self._put_world, methods=["PUT"]),
            Route("/users/{id}", self._patch_user, methods=["PATCH"]),
            Route("/apps/{id}", self._patch_app, methods=["PATCH"]),
            Route("/settings", self._get_settings, methods=["GET"]),
            Route("/settings", self._patch_settings, methods=["PATCH"]),
            Route("/meetings", self._get_meetings, methods=["GET"]),
            Route("/meetings/{meeting}/participants", self._join, methods=["POST"]),
            Route(f"{one}/admit", self._admit, methods=["POST"]),
            Route(f"{one}/leave", self._leave, methods=["POST"]),
            # Without the word in between, as short.
            Route("/meetings/{meeting}/{participant}/admit", self._admit, methods=["POST"]),
            Route("/meetings/{meeting}/{participant}/leave", self._leave, methods=["POST"]),
            Route("/meetings/{meeting}/end", self._end, methods=["POST"]),
            Route("/subscriptions", self._get_subscriptions, methods=["GET"]),
            Route("/subscriptions/{id}/lifecycle", self._lifecycle, methods=["POST"]),
            Route("/callRecords/{id}/revise", self._revise, methods=["POST"]),
            Route("/notifications", self._get_notifications, methods=["GET"]),
            Route("/notifications/release", self._release, methods=["POST"]),
        ]

    async def _get_world(self, _request: Request) -> Response:
        return self._world()

    async def _put_world(self, request: Request) -> Response:
        try:
            self._platform.world = World.model_validate_json(await request.body())
        except ValidationError as exc:
            raise _refused(exc) from exc
        return self._world()

    async def _patch_user(self, request: Request) -> Response:
        return await self._patch(request, "users", "id")

    async def _patch_app(self, request: Request) -> Response:
        return await self._patch(request, "apps", "clientId")

    async def _patch(self, request: Request, kind: str, key: str) -> Response:
        world = self._platform.world.model_dump(by_alias=True)
        entries = [entry for tenant in world["tenants"] for entry in tenant[kind]]
        found = [entry for entry in entries if entry[key] == request.path_params["id"].lower()]
        if not found:
            raise GraphError(404, "NotFound", f"There is no such entry among {kind}.")
        try:
            found[0] |= _object.validate_json(await request.body())
            self._platform.world = World.model_validate(world)
        except ValidationError as exc:
            raise _refused(exc) from exc
        return JSONResponse(found[0])

    def _world(self) -> Response:
        return JSONResponse(self._platform.world.model_dump(by_alias=True))

    async def _get_settings(self, _request: Request) -> Response:
        return JSONResponse(self._platform.behaviour.model_dump())

    async def _patch_settings(self, request: Request) -> Response:
        try:
            changes = _object.validate_json(await request.body())
            self._platform.behaviour = Behaviour.model_validate({**self._platform.behaviour.model_dump(), **changes})
        except ValidationError as exc:
            raise _refused(exc) from exc
        return JSONResponse(self._platform.behaviour.model_dump())

    async def _get_meetings(self, _request: Request) -> Response:
        return JSONResponse([truth(meeting) for meeting in self._meetings.all])

    async def _join(self, request: Request) -> Response:
        meeting = self._meeting(request)
        try:
            newcomer = _Newcomer.model_validate_json(await request.body())
        except ValidationError as exc:
            raise _refused(exc) from exc
        user = None
        if newcomer.user_id is not None:
            tenant = self._platform.tenant(meeting.tenant)
            user = None if tenant is None else tenant.user(newcomer.user_id)
            if user is None:
                raise bad_request(f"The tenant has no user '{newcomer.user_id}'.")
        joined = self._rooms.join(
            meeting, newcomer.display_name, None if user is None else user.id, newcomer.identity_kind
        )
        return JSONResponse(joined.truth(), status_code=201)

    async def _admit(self, request: Request) -> Response:
        meeting, participant = self._participant(request)
        self._rooms.admit(meeting, participant)
        return JSONResponse(participant.truth())

    async def _leave(self, request: Request) -> Response:
        meeting, participant = self._participant(request)
        self._rooms.leave(meeting, participant)
        return JSONResponse(participant.truth())

    async def _end(self, request: Request) -> Response:
        meeting = self._meeting(request)
        self._rooms.end(meeting)
        return JSONResponse(truth(meeting))

    def _meeting(self, request: Request) -> Meeting:
        wanted = request.path_params["meeting"]
        meeting = self._meetings.by_id(wanted)
        if meeting is None:
            raise GraphError(404, "NotFound", "There is no such meeting.")
        return meeting

    def _participant(self, request: Request) -> tuple[Meeting, Participant]:
        meeting = self._meeting(request)
        participant = find(meeting, request.path_params["participant"])
        if participant is None:
            raise GraphError(404, "NotFound", "There is no such participant.")
        return meeting, participant

    async def _get_subscriptions(self, _request: Request) -> Response:
        return JSONResponse([one.to_wire() | {"paused": one.paused} for one in self._notifications.alive])

    async def _lifecycle(self, request: Request) -> Response:
        try:
            asked = _LifecycleRequest.model_validate_json(await request.body())
        except ValidationError as exc:
            raise _refused(exc) from exc
        subscription = self._notifications.by_id(request.path_params["id"])
        if subscription is None:
            raise GraphError(404, "NotFound", "There is no such subscription.")
        self._notifications.tell_lifecycle(subscription, asked.event)
        subscription.paused = asked.pause
        return Response(status_code=202)

    async def _get_notifications(self, _request: Request) -> Response:
        return JSONResponse([delivery.truth() for delivery in self._courier.deliveries])

    async def _revise(self, request: Request) -> Response:
        try:
            asked = _Revision.model_validate_json(await request.body() or b"{}")
        except ValidationError as exc:
            raise _refused(exc) from exc
        record = self._records.revise(request.path_params["id"], asked.quality)
        if record is None:
            raise GraphError(404, "NotFound", "There is no such call record.")
        return JSONResponse({"id": record.id, "version": record.version})

    async def _release(self, _request: Request) -> Response:
        self._courier.release()
        return Response(status_code=202)


def truth(meeting: Meeting) -> dict[str, Any]:
    """Return everything about a meeting."""
    return {
        "id": meeting.id,
        "tenantId": meeting.tenant,
        "organizer": meeting.organizer,
        "externalId": meeting.external_id,
        "subject": meeting.subject,
        "startDateTime": wire_time(meeting.start),
        "endDateTime": wire_time(meeting.end),
        "joinWebUrl": meeting.join_web_url,
        "virtualAppointmentUrl": meeting.virtual_appointment_url,
        "lobbyBypassSettings": meeting.lobby,
        "attendees": meeting.attendees,
        "options": meeting.options,
        "inCall": meeting.call is not None,
        "calls": [
            {
                "id": call.id,
                "started": wire_time(call.started),
                "ended": None if call.ended is None else wire_time(call.ended),
                "participants": [participant.truth() for participant in call.participants],
            }
            for call in meeting.calls
        ],
    }


def _refused(exc: ValidationError) -> GraphError:
    faults = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
    return bad_request(faults)
