"""`POST /graph/notifications`: what Microsoft Graph tells of meetings becomes events of visits.

Graph wants its answer within three seconds and repeats for hours what it got none for. So a notification is acknowledged
as soon as what it says is in the database, which takes milliseconds; when it cannot be written down in time, the answer
is 503, and Graph brings it again to this replica or another. Repetitions change nothing. Nothing of a notification is
logged, and one that is not Graph's is acknowledged too, so that its sender learns nothing.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.directory import Directory
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.notification import NotificationKeys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.store.events import Events
from ehr_connector.store.subscriptions import Subscriptions
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.teams.call_record_notifications import CallRecordNotifications
from ehr_connector.teams.client_state import tenant_of, visit_of
from ehr_connector.teams.decryption import EncryptedContent, UnreadableError, opened
from ehr_connector.teams.roster import CallEvent, events_of
from ehr_connector.teams.subscriptions import PATH
from ehr_connector.teams.validation_tokens import KeysUnavailableError, ValidationTokens
from ehr_connector.visits.events import VisitEvent

OnTold = Callable[[VisitRow, Sequence[VisitEvent]], Awaitable[None]]
"""What follows from a visit's events. It is called again for a repetition, and must then do nothing a second time."""

_log = logging.getLogger(__name__)
_MOST_BYTES = 1024 * 1024
_MOST_NOTIFICATIONS = 100
_MOST_TOKENS = 20
_LONGEST_TOKEN = 2048
_WAITING = 256
"""Deliveries that wait for a worker; more are sent away, to come again."""
_WORKERS = 4
_ANSWER_S = 2.0
"""Source: Graph, "Receive change notifications through webhooks": an answer after 2.9 s counts as slow."""
_BODY_S = 2.0


class _ResourceData(BaseModel):
    id: Annotated[str | None, Field(repr=False)] = None


class _Notification(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)

    subscription_id: Annotated[str, Field(max_length=64)]
    client_state: Annotated[str, Field(max_length=128, repr=False)] = ""
    lifecycle_event: Annotated[str, Field(max_length=64)] | None = None
    resource_data: Annotated[_ResourceData | None, Field(repr=False)] = None
    encrypted_content: Annotated[EncryptedContent | None, Field(repr=False)] = None


class _Delivery(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)

    value: Annotated[list[Any], Field(max_length=_MOST_NOTIFICATIONS, repr=False)]
    validation_tokens: Annotated[list[str] | None, Field(max_length=_MOST_TOKENS, repr=False)] = None


_notification = TypeAdapter(_Notification)


class _RejectedError(Exception):
    """It is not for us, or not Graph's."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    delivery: _Delivery
    done: asyncio.Future[bool] = field(repr=False)


class Notifications:
    """Takes notifications and records what they say."""

    def __init__(
        self,
        *,
        visits: Visits,
        events: Events,
        subscriptions: Subscriptions,
        directory: Directory,
        tokens: ValidationTokens,
        notification_keys: NotificationKeys,
        secret_keys: SecretKeys,
        metrics: Metrics,
        on_told: OnTold,
        wake_subscriptions: Callable[[], None],
        call_records: CallRecordNotifications,
    ) -> None:
        self._visits = visits
        self._events = events
        self._subscriptions = subscriptions
        self._directory = directory
        self._tokens = tokens
        self._notification_keys = notification_keys
        self._secret_keys = secret_keys
        self._metrics = metrics
        self._on_told = on_told
        self._wake_subscriptions = wake_subscriptions
        self._call_records = call_records
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(_WAITING)

    def router(self) -> APIRouter:
        """Return the route; lifecycle notifications come to it too."""
        router = APIRouter()
        router.add_api_route(PATH, self.take, methods=["POST"])
        return router

    async def run(self) -> None:
        """Work off what was taken, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._work())

    async def take(self, request: Request) -> Response:
        """Answer the handshake of a new subscription, or take a delivery."""
        token = request.query_params.get("validationToken")
        if token is not None:
            # Whoever asks gets their own words back, as plain text that no browser takes for anything else.
            if len(token) > _LONGEST_TOKEN:
                return Response(status_code=HTTPStatus.BAD_REQUEST)
            return PlainTextResponse(token, headers={"X-Content-Type-Options": "nosniff"})
        body = await _body(request)
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            delivery = _Delivery.model_validate_json(body)
        except ValidationError:
            self._count("unreadable")
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(delivery, done))
            async with asyncio.timeout(_ANSWER_S):
                is_recorded = await done
        except (asyncio.QueueFull, TimeoutError):
            is_recorded = False
        if not is_recorded:
            self._count("deferred")
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
        return Response(status_code=HTTPStatus.ACCEPTED)

    async def _work(self) -> None:
        while True:
            waiting = await self._queue.get()
            if waiting.done.done():
                continue  # answered with 503 already: it comes again
            is_recorded = False
            try:
                is_recorded = await self._record_all(waiting.delivery)
            except Exception as exc:  # noqa: BLE001 (a delivery that we fail at does not end the work on others)
                _log.error("a notification could not be recorded: %s", _where(exc))
            finally:
                if not waiting.done.done():
                    waiting.done.set_result(is_recorded)

    async def _record_all(self, delivery: _Delivery) -> bool:
        """Record every notification of a delivery; False when some must come again."""
        is_recorded = True
        for raw in delivery.value:
            try:
                notification = _notification.validate_python(raw)
                outcome = await self._record(notification, delivery.validation_tokens or ())
            except _RejectedError:
                outcome = "rejected"
            except (UnreadableError, ValidationError):
                outcome = "unreadable"
            except (KeysUnavailableError, KeysError, SQLAlchemyError):
                is_recorded = False
                continue
            self._count(outcome)
        return is_recorded

    async def _record(self, notification: _Notification, tokens: Sequence[str]) -> str:
        tenant_id = tenant_of(self._secret_keys, notification.client_state)
        if tenant_id is not None:
            return await self._record_of_tenant(tenant_id, notification)
        name = visit_of(self._secret_keys, notification.client_state)
        if name is None:
            raise _RejectedError
        visit = await self._visits.get(name)
        organization = await self._directory.organization(visit.namespace, visit.name) if visit else None
        if visit is None or organization is None:
            raise _RejectedError
        if notification.lifecycle_event is not None:
            await self._see_to_lifecycle(name, notification)
            return "lifecycle"
        if not await self._tokens.has_valid(tokens, organization) or notification.encrypted_content is None:
            raise _RejectedError
        # The key's own arithmetic takes milliseconds, in which nobody else would be served.
        content = await asyncio.to_thread(opened, notification.encrypted_content, self._notification_keys)
        event = CallEvent.model_validate_json(content)
        tenant_id = organization.microsoft365.tenant_id
        told = events_of(event, tenant_id, lambda what, text: self._secret_keys.name(what, name, text))
        new = await self._events.record(name, told)
        # Before Graph has its answer, and after a repetition too: who dies in between leaves nothing undone.
        await self._on_told(visit, told)
        return "recorded" if new else "repeated"

    async def _record_of_tenant(self, tenant_id: str, notification: _Notification) -> str:
        """Take a notification that names a call record. It holds nothing else, so that Graph sends no token with it."""
        if notification.lifecycle_event is not None:
            await self._call_records.lifecycle(tenant_id, notification.subscription_id, notification.lifecycle_event)
            return "lifecycle"
        record = notification.resource_data.id if notification.resource_data else None
        if record is None or not await self._call_records.told(tenant_id, record):
            raise _RejectedError
        return "call_record"

    async def _see_to_lifecycle(self, visit: str, notification: _Notification) -> None:
        """Renew what Graph asks to reauthorise, make anew what it removed; `missed` is of what it knows no more."""
        if notification.lifecycle_event in {"reauthorizationRequired", "subscriptionRemoved"}:
            removed = notification.lifecycle_event == "subscriptionRemoved"
            if await self._subscriptions.look_now(visit, notification.subscription_id, removed=removed):
                self._wake_subscriptions()

    def _count(self, outcome: str) -> None:
        self._metrics.graph_notifications.labels(outcome).inc()


async def _body(request: Request) -> bytes | None:
    """Read the body; None when it is larger or slower than any of Graph's."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_BYTES:
                    return None
    except TimeoutError:
        return None
    return bytes(body)


def _where(error: Exception) -> str:
    """Return what failed and where, without the error's own text, which may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
