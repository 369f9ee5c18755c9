"""Graph's calls on subscriptions, with the handshake that each notification URL must pass."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import httpx
from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.graph.errors import GraphError, bad_request
from ehr_sandbox.graph.notify.courier import Courier
from ehr_sandbox.graph.notify.encryption import certificate_of
from ehr_sandbox.graph.notify.notifications import Notifications
from ehr_sandbox.graph.notify.subscription import CALL_RECORDS, Subscription
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.rest.gate import Call, Gate, graph_json
from ehr_sandbox.graph.rest.meetings import Meetings
from ehr_sandbox.graph.times import time_of

_MEETING_ROLES = ("OnlineMeetings.Read.All", "OnlineMeetings.ReadWrite.All")
_RECORD_ROLE = "CallRecords.Read.All"
_EVENTS = re.compile(r"communications/onlineMeetings\(joinWebUrl='(?P<url>[^']+)'\)/meetingCallEvents", re.IGNORECASE)
_LONGEST_MEETING = timedelta(days=3)
_LONGEST_RECORD = timedelta(minutes=4230)
_LONGEST_STATE = 128
_CHANGES = frozenset({"created", "updated"})
_SETTABLE = frozenset(
    {
        *("changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState"),
        *("includeResourceData", "encryptionCertificate", "encryptionCertificateId", "latestSupportedTlsVersion"),
    }
)


class Subscriptions:
    """The handlers."""

    def __init__(self, platform: Platform, notifications: Notifications, courier: Courier, meetings: Meetings) -> None:
        self._platform = platform
        self._notifications = notifications
        self._courier = courier
        self._meetings = meetings

    def routes(self, gate: Gate) -> list[Route]:
        """Return the routes."""
        roles = (*_MEETING_ROLES, _RECORD_ROLE)
        one = "/subscriptions/{subscription}"
        return [
            *gate.routes("POST", "/subscriptions", self._create, application=roles),
            *gate.routes("GET", "/subscriptions", self._list, application=roles),
            *gate.routes("POST", f"{one}/reauthorize", self._reauthorize, application=roles),
            *gate.routes("GET", one, self._get, application=roles),
            *gate.routes("PATCH", one, self._update, application=roles),
            *gate.routes("DELETE", one, self._delete, application=roles),
        ]

    async def _create(self, call: Call) -> Response:
        body = call.json()
        if unknown := [name for name in body if name not in _SETTABLE and not name.startswith("@odata.")]:
            raise _invalid(f"The property '{unknown[0]}' does not exist on type 'microsoft.graph.subscription'.")
        for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise _invalid(f"'{name}' is required.")
        subscription = self._subscription(call, body)
        self._refuse_second(subscription)
        # Both while this call is open, and twice when both URLs are the same.
        for url in (subscription.notification_url, subscription.lifecycle_url):
            if url is not None:
                await self._validate(url)
        self._refuse_second(subscription)
        self._notifications.add(subscription)
        return graph_json(subscription.to_wire(), status=201)

    def _refuse_second(self, subscription: Subscription) -> None:
        """Refuse a second subscription of one application to one meeting.

        Source: Graph, "Get change notifications for Microsoft Teams meeting call updates". The status is not printed.
        """
        if subscription.meeting_id is not None and any(
            one.app == subscription.app for one in self._notifications.of(subscription.meeting_id)
        ):
            raise GraphError(409, "Conflict", "The application has a subscription to this meeting already.")

    def _subscription(self, call: Call, body: dict[str, Any]) -> Subscription:
        resource = str(body["resource"]).removeprefix("/")
        events = _EVENTS.fullmatch(resource)
        meeting_id = None
        if events is not None:
            meeting_id = self._meeting_id(call, unquote(events["url"]))
        elif resource.lower() != CALL_RECORDS.lower():
            raise _invalid(f"Resource '{resource}' is not supported for subscriptions.")
        elif _RECORD_ROLE not in call.caller.permissions:
            raise GraphError(403, "Forbidden", "Application does not have the permissions that this call needs.")
        changes = set(str(body["changeType"]).split(","))
        if not changes <= ({"updated"} if meeting_id else _CHANGES):
            raise _invalid("'changeType' is not supported for this resource.")
        state = body.get("clientState")
        if state is not None and (not isinstance(state, str) or len(state) > _LONGEST_STATE):
            raise _invalid(f"'clientState' must be a text of at most {_LONGEST_STATE} characters.")
        subscription = Subscription(
            tenant=call.caller.tenant.id,
            app=call.caller.app,
            address=call.address,
            resource=str(body["resource"]),
            meeting_id=meeting_id,
            change_type=str(body["changeType"]),
            notification_url=_https(body["notificationUrl"], "notificationUrl"),
            lifecycle_url=(
                _https(body["lifecycleNotificationUrl"], "lifecycleNotificationUrl")
                if body.get("lifecycleNotificationUrl") is not None
                else None
            ),
            client_state=state,
            expires=self._expiry(body["expirationDateTime"], meeting_id),
        )
        if body.get("includeResourceData"):
            if meeting_id is None:
                raise _invalid("'includeResourceData' is not supported for this resource.")
            _take_certificate(subscription, body)
        return subscription

    def _meeting_id(self, call: Call, url: str) -> str:
        if not call.request.url.path.startswith("/beta/"):
            raise _invalid("Subscriptions to 'meetingCallEvents' are supported in beta only.")
        if not call.caller.permissions.intersection(_MEETING_ROLES):
            raise GraphError(403, "Forbidden", "Application does not have the permissions that this call needs.")
        meeting = self._meetings.by_join_web_url(url)
        if meeting is None or meeting.tenant != call.caller.tenant.id:
            # The join URL holds escapes of its own, so it must be escaped once more.
            raise GraphError(404, "NotFound", "No meeting has this joinWebUrl. Is it URL-encoded?")
        return meeting.id

    def _expiry(self, value: Any, meeting_id: str | None) -> datetime:
        expires = time_of(value, "expirationDateTime")
        longest = _LONGEST_RECORD if meeting_id is None else _LONGEST_MEETING
        now = self._platform.now()
        if expires <= now:
            raise _invalid("'expirationDateTime' must be in the future.")
        # The caller's clock may be a little ahead.
        if expires > now + longest + timedelta(minutes=1):
            minutes = int(longest.total_seconds() // 60)
            raise _invalid(f"Subscription expiration can only be {minutes} minutes in the future.")
        return expires

    async def _validate(self, url: str) -> None:
        """Let a notification URL prove that it wants notifications.

        Source: Graph, "Receive change notifications through webhooks": a token in the query, given back as it reads
        once it is decoded, as plain text, within ten seconds.
        """
        token = f"Validation: Testing client application reachability for subscription Request-Id: {uuid4()}"
        joint = "&" if urlsplit(url).query else "?"
        target = f"{url}{joint}validationToken={quote(token, safe='')}"
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            answer = await self._courier.post(target, self._platform.behaviour.validate_within_s, headers=headers)
        except TimeoutError as exc:
            raise _invalid("Subscription validation request timed out.") from exc
        except httpx.HTTPError as exc:
            raise _invalid(f"Subscription validation request failed. The endpoint cannot be reached: {exc}") from exc
        if answer.status_code != httpx.codes.OK.value:
            raise _invalid(
                "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation"
                f" request, and responded with {answer.status_code}."
            )
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "text/plain":
            raise _invalid("Subscription validation request failed. The response must be of type text/plain.")
        if answer.text != token:
            raise _invalid(
                "Subscription validation request failed. Response must match validationToken query parameter."
            )

    async def _list(self, call: Call) -> Response:
        mine = [one.to_wire() for one in self._notifications.alive if self._is_callers(call, one)]
        return graph_json({"@odata.context": f"{call.address}/v1.0/$metadata#subscriptions", "value": mine})

    async def _get(self, call: Call) -> Response:
        return graph_json(self._found(call).to_wire())

    async def _update(self, call: Call) -> Response:
        subscription = self._found(call)
        body = call.json()
        if unknown := [name for name in body if name not in {"expirationDateTime", "notificationUrl"}]:
            raise _invalid(f"The property '{unknown[0]}' cannot be updated.")
        expires = subscription.expires
        if "expirationDateTime" in body:
            expires = self._expiry(body["expirationDateTime"], subscription.meeting_id)
        if "notificationUrl" in body:
            url = _https(body["notificationUrl"], "notificationUrl")
            await self._validate(url)
            subscription.notification_url = url
        subscription.expires = expires
        _resume(subscription)
        return graph_json(subscription.to_wire())

    async def _reauthorize(self, call: Call) -> Response:
        _resume(self._found(call))
        return Response(status_code=204)

    async def _delete(self, call: Call) -> Response:
        self._notifications.remove(self._found(call))
        return Response(status_code=204)

    def _found(self, call: Call) -> Subscription:
        wanted = call.request.path_params["subscription"]
        subscription = self._notifications.by_id(wanted)
        if subscription is not None and self._is_callers(call, subscription):
            return subscription
        raise GraphError(404, "ResourceNotFound", f"The subscription '{wanted}' was not found.")

    def _is_callers(self, call: Call, subscription: Subscription) -> bool:
        return (subscription.tenant, subscription.app) == (call.caller.tenant.id, call.caller.app)


def _take_certificate(subscription: Subscription, body: dict[str, Any]) -> None:
    text, certificate_id = body.get("encryptionCertificate"), body.get("encryptionCertificateId")
    if not isinstance(text, str) or not isinstance(certificate_id, str) or not certificate_id:
        raise _invalid("'encryptionCertificate' and 'encryptionCertificateId' are required with 'includeResourceData'.")
    if len(certificate_id) > _LONGEST_STATE:
        raise _invalid(f"'encryptionCertificateId' must have at most {_LONGEST_STATE} characters.")
    try:
        subscription.certificate = certificate_of(text)
    except ValueError as exc:
        raise _invalid(f"'encryptionCertificate' {exc}.") from exc
    subscription.certificate_text, subscription.certificate_id = text, certificate_id


def _resume(subscription: Subscription) -> None:
    subscription.reauthorization_asked, subscription.paused = None, False


def _https(value: Any, name: str) -> str:
    if not isinstance(value, str) or urlsplit(value).scheme != "https" or not urlsplit(value).hostname:
        raise _invalid(f"'{name}' must be an https URL.")
    return value


def _invalid(message: str) -> GraphError:
    return bad_request(message, "ValidationError")
