"""Keeps Graph's subscriptions to the meetings of coming visits: made shortly before, renewed, deleted afterwards.

Every replica works on the same table, and what a worker that died had claimed is due again after minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.graph import Graph, Subscription, call_events_of
from ehr_connector.background import Rest
from ehr_connector.directory import Directory
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.notification import NotificationKeys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.store.subscriptions import SubscriptionRow, Subscriptions
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.client_state import client_state_of
from ehr_connector.teams.refusals import TeamsError
from ehr_connector.teams.retrying import FIRST_S, pause, said

PATH = "/graph/notifications"

_log = logging.getLogger(__name__)
_LEAD = timedelta(hours=12)
"""So long before its visit a meeting is listened to."""
_TAIL = timedelta(hours=6)
"""So long after its visit: visits begin late and take longer."""
_LIFE = timedelta(days=3) - timedelta(minutes=10)
"""Source: Graph, "Maximum length of subscription per resource type": 3 days for call events; clocks differ."""
_MARGIN = timedelta(hours=1)
"""A subscription is renewed when it has less than this to live."""
_AT_A_TIME = 8
_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class Create:
    """There is none and it is time."""

    expires: datetime


@dataclass(frozen=True, slots=True)
class Renew:
    """It ends before the visit does."""

    expires: datetime


@dataclass(frozen=True, slots=True)
class Delete:
    """The visit is over."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done yet."""

    until: datetime


Step = Create | Renew | Delete | Wait


def plan(row: SubscriptionRow, visit: VisitRow, now: datetime) -> Step:
    """Return the one next step. Pure."""
    over = visit.ends_at + _TAIL
    if now >= over:
        return Delete()
    expires = min(now + _LIFE, over)
    if row.subscription_id is None or row.expires_at is None:
        begins = visit.starts_at - _LEAD
        return Wait(begins) if now < begins else Create(expires)
    if row.expires_at < over and row.expires_at - now <= _MARGIN:
        return Renew(expires)
    return Wait(_next_look(row.expires_at, visit))


def _next_look(expires_at: datetime, visit: VisitRow) -> datetime:
    over = visit.ends_at + _TAIL
    return over if expires_at >= over else expires_at - _MARGIN


class SubscriptionWorker:
    """Sees to the subscriptions that are due."""

    def __init__(
        self,
        *,
        rows: Subscriptions,
        visits: Visits,
        directory: Directory,
        access: GraphAccess,
        notification_keys: NotificationKeys,
        secret_keys: SecretKeys,
        metrics: Metrics,
        now: Callable[[], datetime],
        poll_s: float = _POLL_S,
    ) -> None:
        self._rows = rows
        self._visits = visits
        self._directory = directory
        self._access = access
        self._notification_keys = notification_keys
        self._secret_keys = secret_keys
        self._metrics = metrics
        self._now = now
        self._rest = Rest(poll_s)

    async def ask(self, visit: VisitRow) -> None:
        """Have the meeting of a visit listened to when its time comes."""
        due_at = max(self._now(), visit.starts_at - _LEAD)
        if await self._rows.want(visit.visit, visit.namespace, visit.name, due_at):
            self._rest.wake()

    async def is_alive(self, visit: str) -> bool:
        """Return whether the meeting of a visit is listened to now."""
        row = await self._rows.get(visit)
        return row is not None and row.expires_at is not None and row.expires_at > self._now()

    def wake(self) -> None:
        """Look at once: something may be due."""
        self._rest.wake()

    async def run(self) -> None:
        """Work until cancelled; what is under way then is due again after a claim's time."""
        while True:
            try:
                done = await self.work_once()
            except SQLAlchemyError:
                _log.exception("the subscriptions that are due cannot be read; they are read again")
                done = 0
            if not done:
                await self._rest()

    async def work_once(self) -> int:
        """See to some of what is due, and return to how many."""
        claimed = await self._rows.claim(_AT_A_TIME)
        await asyncio.gather(*(self._see_to(row) for row in claimed))
        return len(claimed)

    async def _see_to(self, row: SubscriptionRow) -> None:
        action, outcome = "look", "ok"
        try:
            visit = await self._visits.get(row.visit)
            organization = await self._directory.organization(row.namespace, row.name)
            if visit is None or visit.meeting is None or organization is None:
                await self._rows.remove(row.visit)
                return
            step = plan(row, visit, self._now())
            action = type(step).__name__.lower()
            await self._take(step, row, visit, organization)
        except (RemoteError, CredentialError, TeamsError, KeysError) as exc:
            outcome = "failed"
            _log.warning("a subscription to a meeting's events: %s failed, tried again: %s", action, said(exc))
            await self._rows.failed(row, self._now() + pause(row.attempts, exc))
        except Exception:  # noqa: BLE001 (one row's trouble does not end the work on all others; it is due again)
            outcome = "failed"
            _log.exception("a subscription to a meeting's events could not be seen to")
        finally:
            if action != "wait":
                self._metrics.graph_subscriptions.labels(action, outcome).inc()

    async def _take(
        self, step: Step, row: SubscriptionRow, visit: VisitRow, organization: OrganizationConfiguration
    ) -> None:
        match step:
            case Wait(until):
                await self._rows.later(row, until)
            case Delete():
                if row.subscription_id is not None:
                    await unsubscribe(self._access.of(organization), row.subscription_id)
                await self._rows.remove(row.visit)
            case Renew(expires):
                await self._renew(self._access.of(organization), row, visit, expires)
            case Create(expires):
                subscription = await self._create(self._access.of(organization), visit, organization, expires)
                await self._record(row, visit, subscription)

    async def _renew(self, graph: Graph, row: SubscriptionRow, visit: VisitRow, expires: datetime) -> None:
        assert row.subscription_id is not None  # noqa: S101 (a step for those that have one)
        try:
            renewed = await graph.renew(row.subscription_id, expires)
        except RefusedError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            await self._rows.lost(row)
            self._rest.wake()
            return
        await self._record(row, visit, renewed)

    async def _create(
        self, graph: Graph, visit: VisitRow, organization: OrganizationConfiguration, expires: datetime
    ) -> Subscription:
        assert visit.meeting is not None  # noqa: S101 (the caller has looked)
        key = self._notification_keys.current()
        resource = call_events_of(visit.meeting.join_web_url)
        address = f"{organization.public_url}{PATH}"

        async def subscribe() -> Subscription:
            return await graph.subscribe(
                resource,
                notification_url=address,
                expires=expires,
                client_state=client_state_of(self._secret_keys, visit.visit),
                certificate=key.certificate,
                certificate_id=key.key_id,
            )

        try:
            return await subscribe()
        except RefusedError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
        # Made before, and its answer lost: there may be one for each meeting.
        standing = next((one for one in await graph.subscriptions() if is_same(one.resource, resource)), None)
        if standing is not None and standing.notification_url == address and self._opens(standing):
            return await graph.renew(standing.id, expires)
        if standing is not None:
            await unsubscribe(graph, standing.id)
        return await subscribe()

    def _opens(self, standing: Subscription) -> bool:
        """Whether we have the key to what a subscription will send."""
        key_id = standing.encryption_certificate_id
        return key_id is not None and self._notification_keys.get(key_id) is not None

    async def _record(self, row: SubscriptionRow, visit: VisitRow, subscription: Subscription) -> None:
        expires_at = subscription.expiration_date_time
        due_at = max(_next_look(expires_at, visit), self._now() + timedelta(seconds=FIRST_S))
        await self._rows.stands(row, subscription.id, expires_at, due_at)


async def unsubscribe(graph: Graph, subscription_id: str) -> None:
    """Delete a subscription, if it is there."""
    try:
        await graph.unsubscribe(subscription_id)
    except RefusedError as exc:
        if exc.status != HTTPStatus.NOT_FOUND:
            raise


def is_same(left: str, right: str) -> bool:
    """Return whether two texts name the same resource: Graph may add a slash, and change case."""
    return left.removeprefix("/").lower() == right.removeprefix("/").lower()
