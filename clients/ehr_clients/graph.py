"""Microsoft Graph: online meetings, their organisers, subscriptions to what happens in a meeting, and call records.

Source: Microsoft Graph v1.0, "onlineMeeting: createOrGet", "Update onlineMeeting", "List licenseDetails",
"subscription resource type", "Get callRecord", "Get change notifications for call records"; beta, "Get change
notifications for Microsoft Teams meeting call updates".
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ehr_clients.call_records import (
    CallParticipant,
    CallRecord,
    CallRecordWithParticipants,
    CallRecordWithSessions,
    Session,
)
from ehr_clients.errors import ContractError, RefusedError
from ehr_clients.http import Answer, check, exchange, parse

SYSTEM = "Microsoft Graph"
_Item = TypeVar("_Item", bound=BaseModel)
_V1 = "/v1.0"
_BETA = "/beta"
"""Meeting call events can be subscribed to there alone."""
_PAGES = 20
_RECORDS = f"{_V1}/communications/callRecords"
CALL_RECORDS = "communications/callRecords"
"""The resource that tells of every call in the tenant."""
_NO_MEETING = "https://teams.microsoft.com/l/meetup-join/none"
_CO_ORGANIZER = "coorganizer"


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class _User(_Model):
    id: str | None = None


class _Identity(_Model):
    user: _User | None = None


class Participant(_Model):
    """Who is invited, with which role. The names that Graph adds are not read."""

    identity: _Identity | None = None
    role: str | None = None

    @property
    def object_id(self) -> str | None:
        """Entra object id, of who has one."""
        return self.identity.user.id if self.identity and self.identity.user else None


class _Participants(_Model):
    attendees: list[Participant] | None = None


class _LobbyBypass(_Model):
    scope: str | None = None
    is_dial_in_bypass_enabled: bool | None = None


class OnlineMeeting(_Model):
    """An online meeting, as far as visits need it."""

    id: Annotated[str, Field(min_length=1, max_length=512)]
    join_web_url: Annotated[str, Field(pattern="^https://", max_length=1024, repr=False)]
    start_date_time: datetime | None = None
    end_date_time: datetime | None = None
    lobby_bypass_settings: _LobbyBypass | None = None
    participants: Annotated[_Participants | None, Field(repr=False)] = None

    @property
    def co_organizers(self) -> frozenset[str]:
        """Entra object ids of the co-organisers."""
        return frozenset(one.object_id for one in self._attendees if one.object_id and one.role == _CO_ORGANIZER)

    @property
    def has_our_lobby(self) -> bool:
        """Whether everybody from outside the organisation waits in the lobby, callers by phone among them."""
        found = self.lobby_bypass_settings
        return found is not None and found.scope == "organization" and found.is_dial_in_bypass_enabled is False

    @property
    def _attendees(self) -> Sequence[Participant]:
        return (self.participants.attendees if self.participants else None) or ()


class User(_Model):
    """An account, without its names."""

    id: str
    account_enabled: bool | None = None


class ServicePlan(_Model):
    """A part of a licence."""

    service_plan_name: str = ""
    provisioning_status: str = ""


class LicenseDetails(_Model):
    """A licence of a user."""

    service_plans: list[ServicePlan] = Field(default_factory=list[ServicePlan])


class Subscription(_Model):
    """A subscription."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    expiration_date_time: datetime
    resource: str = Field(default="", repr=False)
    notification_url: str | None = None
    encryption_certificate_id: str | None = None


class _Licenses(_Model):
    value: list[LicenseDetails]


class _Page(_Model, Generic[_Item]):
    value: Annotated[list[_Item], Field(repr=False)]
    next_link: str | None = Field(default=None, alias="@odata.nextLink", repr=False)


class _Value(_Model):
    value: Annotated[str, Field(pattern="^https://", max_length=2048, repr=False)]


class _ErrorDetail(_Model):
    code: str = Field(default="", max_length=128)


class _Error(_Model):
    error: _ErrorDetail


def call_events_of(join_web_url: str) -> str:
    """Return the resource that tells what happens in a meeting; the address, encoded already, is encoded once more."""
    return f"communications/onlineMeetings(joinWebUrl='{quote(join_web_url, safe='')}')/meetingCallEvents"


class Graph:
    """Microsoft Graph for one application in one tenant."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: Callable[[], Awaitable[str]]) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._token = token

    async def create_or_get_meeting(
        self, organizer: str, external_id: str, *, start: datetime, end: datetime, subject: str
    ) -> OnlineMeeting:
        """Return the organiser's meeting of that external id, which is created when there is none; safe to repeat.

        A meeting that was there keeps its times: `update_meeting` changes them.
        """
        body = {"externalId": external_id, "startDateTime": _time(start), "endDateTime": _time(end), "subject": subject}
        path = f"{_meetings(organizer)}/createOrGet"
        return parse(await self._call("create or get meeting", "POST", path, body), OnlineMeeting)

    async def update_meeting(
        self, organizer: str, meeting_id: str, *, start: datetime, end: datetime, co_organizers: Sequence[str]
    ) -> OnlineMeeting:
        """Set times, lobby and co-organisers, who take the place of all invited before; nothing of Teams is restricted."""
        attendees = [{"identity": {"user": {"id": object_id}}, "role": _CO_ORGANIZER} for object_id in co_organizers]
        body: dict[str, Any] = {
            "startDateTime": _time(start),
            "endDateTime": _time(end),
            "lobbyBypassSettings": {"scope": "organization", "isDialInBypassEnabled": False},
        }
        if attendees:
            body["participants"] = {"attendees": attendees}
        return parse(await self._call("update meeting", "PATCH", _meeting(organizer, meeting_id), body), OnlineMeeting)

    async def meeting(self, organizer: str, meeting_id: str) -> OnlineMeeting:
        """Return a meeting."""
        return parse(await self._call("get meeting", "GET", _meeting(organizer, meeting_id)), OnlineMeeting)

    async def check_may_organize(self, organizer: str) -> None:
        """Look for a meeting that does not exist: only an application access policy lets the application look.

        Raises:
            RefusedError: The application may not act for the organiser, or there is none.
        """
        query = {"$filter": f"JoinWebUrl eq '{_NO_MEETING}'"}
        try:
            await self._call("look for meetings", "GET", _meetings(organizer), query=query)
        except RefusedError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise

    async def virtual_appointment_url(self, organizer: str, meeting_id: str) -> str:
        """Return the address at which a patient joins as in a virtual appointment."""
        path = f"{_meeting(organizer, meeting_id)}/getVirtualAppointmentJoinWebUrl"
        return parse(await self._call("get virtual appointment address", "GET", path), _Value).value

    async def user(self, object_id: str) -> User:
        """Return an account."""
        path = f"{_V1}/users/{_quoted(object_id)}"
        return parse(await self._call("get user", "GET", path, query={"$select": "id,accountEnabled"}), User)

    async def licenses(self, object_id: str) -> Sequence[LicenseDetails]:
        """Return the licences of an account."""
        path = f"{_V1}/users/{_quoted(object_id)}/licenseDetails"
        return parse(await self._call("get licenses", "GET", path), _Licenses).value

    async def subscribe(
        self,
        resource: str,
        *,
        notification_url: str,
        expires: datetime,
        client_state: str,
        certificate: str,
        certificate_id: str,
    ) -> Subscription:
        """Subscribe to a meeting's call events, encrypted to `certificate` (base64 of DER).

        Graph asks the notification address to prove itself before it answers.

        Raises:
            RefusedError: 409 when the application has a subscription to this resource already.
        """
        body = {
            "changeType": "updated",
            "resource": resource,
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": notification_url,
            "expirationDateTime": _time(expires),
            "clientState": client_state,
            "includeResourceData": True,
            "encryptionCertificate": certificate,
            "encryptionCertificateId": certificate_id,
            "latestSupportedTlsVersion": "v1_2",
        }
        return parse(await self._call("subscribe", "POST", f"{_BETA}/subscriptions", body), Subscription)

    async def subscribe_to_call_records(
        self, *, notification_url: str, expires: datetime, client_state: str
    ) -> Subscription:
        """Subscribe to the call records of the tenant. Graph has no encrypted form: a notification holds a record's id alone.

        Graph asks the notification address to prove itself before it answers.

        Raises:
            RefusedError: 403 without the permission CallRecords.Read.All; 409 when the application has such a subscription.
        """
        body = {
            "changeType": "created,updated",
            "resource": CALL_RECORDS,
            "notificationUrl": notification_url,
            "lifecycleNotificationUrl": notification_url,
            "expirationDateTime": _time(expires),
            "clientState": client_state,
            "latestSupportedTlsVersion": "v1_2",
        }
        operation = "subscribe to call records"
        return parse(await self._call(operation, "POST", f"{_V1}/subscriptions", body), Subscription)

    async def call_record(self, record_id: str) -> CallRecord:
        """Return a call record without who took part.

        Raises:
            RefusedError: 404 for a record that is not there yet, or is older than 30 days.
        """
        return parse(await self._call("get call record", "GET", _record(record_id)), CallRecord)

    async def call_participants(self, record_id: str) -> Sequence[CallParticipant]:
        """Return who took part in a call, by their ids."""
        operation, query = "get call participants", {"$expand": "participants_v2"}
        page = parse(await self._call(operation, "GET", _record(record_id), query=query), CallRecordWithParticipants)
        return page.participants + await self._rest(operation, page.next_link, _Page[CallParticipant])

    async def call_sessions(self, record_id: str) -> tuple[int, Sequence[Session]]:
        """Return the version of a call record, and its sessions with their segments."""
        operation, query = "get call sessions", {"$expand": "sessions($expand=segments)"}
        page = parse(await self._call(operation, "GET", _record(record_id), query=query), CallRecordWithSessions)
        return page.version, page.sessions + await self._rest(operation, page.next_link, _Page[Session])

    async def renew(self, subscription_id: str, expires: datetime) -> Subscription:
        """Let a subscription live longer, which also authorises it again."""
        body = {"expirationDateTime": _time(expires)}
        return parse(
            await self._call("renew subscription", "PATCH", _subscription(subscription_id), body), Subscription
        )

    async def unsubscribe(self, subscription_id: str) -> None:
        """Delete a subscription."""
        await self._call("delete subscription", "DELETE", _subscription(subscription_id))

    async def subscriptions(self) -> Sequence[Subscription]:
        """Return the application's subscriptions."""
        return await self._rest("list subscriptions", f"{self._url}{_BETA}/subscriptions", _Page[Subscription])

    async def _rest(self, operation: str, address: str | None, page: type[_Page[_Item]]) -> list[_Item]:
        """Return what is on the page at `address`, and on those that follow it."""
        found: list[_Item] = []
        for _ in range(_PAGES):
            if address is None:
                return found
            # The token goes to Graph alone, whatever a page says.
            if not address.startswith(f"{self._url}/"):
                raise ContractError(SYSTEM, operation, "the next page is on another host")
            read = parse(await self._call_address(operation, "GET", address), page)
            found += read.value
            address = read.next_link
        raise ContractError(SYSTEM, operation, f"more than {_PAGES} pages")

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        return await self._call_address(operation, method, f"{self._url}{path}", body, query=query)

    async def _call_address(
        self,
        operation: str,
        method: str,
        address: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {
            "Authorization": f"Bearer {await self._token()}",
            "Accept": "application/json",
            # Without it `coorganizer` is shown as `unknownFutureValue`.
            "Prefer": "include-unknown-enum-members",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = self._http.build_request(
            method, address, headers=headers, params=query, content=None if body is None else json.dumps(body)
        )
        answer = await exchange(self._http, request, system=SYSTEM, operation=operation)
        return check(answer, code=_code(answer))


def _meetings(organizer: str) -> str:
    return f"{_V1}/users/{_quoted(organizer)}/onlineMeetings"


def _meeting(organizer: str, meeting_id: str) -> str:
    return f"{_meetings(organizer)}/{_quoted(meeting_id)}"


def _subscription(subscription_id: str) -> str:
    return f"{_BETA}/subscriptions/{_quoted(subscription_id)}"


def _record(record_id: str) -> str:
    return f"{_RECORDS}/{_quoted(record_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _code(answer: Answer) -> str:
    """Return the code of Graph's error body; its message names people and applications, and is dropped."""
    try:
        return parse(answer, _Error).error.code
    except ContractError:
        return ""
