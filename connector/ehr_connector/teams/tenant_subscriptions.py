"""Keeps Graph's subscription to the call records of each Microsoft tenant: one, however many organisations are in it.

The worker that holds a tenant's lease makes it, renews it, and makes it anew when Graph has removed it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.graph import CALL_RECORDS, Graph, Subscription
from ehr_connector.background import Rest
from ehr_connector.directory import Directory
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.store.leases import Leases
from ehr_connector.store.tenant_subscriptions import TenantSubscription, TenantSubscriptions
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.client_state import tenant_state_of
from ehr_connector.teams.refusals import RECORDS_ROLE, TeamsError
from ehr_connector.teams.retrying import FIRST_S, pause, said
from ehr_connector.teams.subscriptions import PATH, is_same, unsubscribe

_log = logging.getLogger(__name__)
_LIFE = timedelta(minutes=4230 - 10)
"""Source: Graph, "Maximum length of subscription per resource type": 4,230 minutes for call records; clocks differ."""
_MARGIN = timedelta(hours=24)
"""A subscription is renewed when it has less than this to live: a day without Graph loses nothing."""
_LEASE = timedelta(seconds=60)
_LOOK_S = 20.0
_PERMISSION = timedelta(minutes=5)
"""So often is looked whether the permission has been granted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the subscription of a tenant is to be."""

    tenant_id: str
    client_id: str
    notification_url: str


@dataclass(frozen=True, slots=True)
class Create:
    """There is none."""


@dataclass(frozen=True, slots=True)
class Renew:
    """It ends soon."""

    subscription_id: str


@dataclass(frozen=True, slots=True)
class Replace:
    """It is another application's, or calls another address."""

    subscription_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done yet."""


Step = Create | Renew | Replace | Wait


def plan(wanted: Wanted, row: TenantSubscription | None, now: datetime) -> Step:
    """Return the one next step. Pure."""
    if row is None or row.subscription_id is None or row.expires_at is None:
        return Create()
    if not _is_as(wanted, row):
        return Replace(row.subscription_id)
    return Renew(row.subscription_id) if row.expires_at - now <= _MARGIN else Wait()


def tenants_of(
    organizations: Iterable[OrganizationConfiguration],
) -> Mapping[str, Sequence[OrganizationConfiguration]]:
    """Return the organisations of each Microsoft tenant, in an order that stays."""
    found: dict[str, list[OrganizationConfiguration]] = {}
    for one in sorted(organizations, key=lambda one: (one.namespace, one.name)):
        found.setdefault(one.microsoft365.tenant_id.lower(), []).append(one)
    return found


class TenantSubscriptionWorker:
    """Sees to the tenants whose leases are this process's."""

    def __init__(
        self,
        *,
        rows: TenantSubscriptions,
        leases: Leases,
        directory: Directory,
        access: GraphAccess,
        secret_keys: SecretKeys,
        metrics: Metrics,
        now: Callable[[], datetime],
        look_s: float = _LOOK_S,
    ) -> None:
        self._rows = rows
        self._leases = leases
        self._directory = directory
        self._access = access
        self._secret_keys = secret_keys
        self._metrics = metrics
        self._now = now
        self._rest = Rest(look_s)

    def wake(self) -> None:
        """Look at once: something may be due."""
        self._rest.wake()

    async def run(self) -> None:
        """Work until cancelled; then the leases are given back."""
        try:
            while True:
                try:
                    await self.work_once()
                except (SQLAlchemyError, OSError) as exc:
                    _log.warning("call records: the database does not answer (%s)", type(exc).__name__)
                await self._rest()
        finally:
            try:
                await self._leases.release()
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("leases are not given back and end by themselves: %s", type(exc).__name__)

    async def work_once(self) -> None:
        """See to each tenant that no other process works for."""
        tenants = tenants_of(await self._directory.organizations())
        leases = {f"call records of {tenant}": tenant for tenant in tenants}
        ours = await self._leases.take(sorted(leases), _LEASE) if leases else set[str]()
        await asyncio.gather(*(self._see_to(leases[lease], tenants[leases[lease]]) for lease in ours))

    async def _see_to(self, tenant_id: str, organizations: Sequence[OrganizationConfiguration]) -> None:
        row, now = await self._rows.get(tenant_id), self._now()
        # Whose subscription it is goes on having it, so that it does not change hands without need.
        ordered = sorted(organizations, key=lambda one: row is None or not _is_as(wanted_of(one), row))
        if row is not None and row.due_at > now and (row.subscription_id is None or _is_as(wanted_of(ordered[0]), row)):
            return
        standing = row or _none(wanted_of(ordered[0]), now)
        action, outcome = "look", "ok"
        try:
            acting = await self._access.first_with(RECORDS_ROLE, ordered)
            if acting is None:
                await self._rows.put(replace(standing, due_at=now + _PERMISSION))
                return
            wanted = wanted_of(acting)
            step = plan(wanted, row, now)
            action = type(step).__name__.lower()
            await self._take(step, wanted, acting, standing, organizations)
        except (RemoteError, CredentialError, TeamsError, KeysError) as exc:
            outcome = "failed"
            _log.warning("the subscription to call records: %s failed, tried again: %s", action, said(exc))
            due_at = now + pause(standing.attempts, exc)
            await self._rows.put(replace(standing, due_at=due_at, attempts=standing.attempts + 1))
        finally:
            if action != "wait":
                self._metrics.call_record_subscriptions.labels(action, outcome).inc()

    async def _take(
        self,
        step: Step,
        wanted: Wanted,
        acting: OrganizationConfiguration,
        standing: TenantSubscription,
        organizations: Sequence[OrganizationConfiguration],
    ) -> None:
        graph = self._access.of(acting)
        ours = {wanted_of(one).notification_url for one in organizations}
        match step:
            case Wait():
                assert standing.expires_at is not None  # noqa: S101 (a step for those that stand)
                await self._rows.put(replace(standing, due_at=standing.expires_at - _MARGIN, attempts=0))
            case Create():
                await self._record(wanted, await self._create(graph, wanted, ours))
            case Replace(subscription_id):
                await unsubscribe(graph, subscription_id)
                await self._record(wanted, await self._create(graph, wanted, ours))
            case Renew(subscription_id):
                try:
                    renewed = await graph.renew(subscription_id, self._now() + _LIFE)
                except RefusedError as exc:
                    if exc.status != HTTPStatus.NOT_FOUND:
                        raise
                    renewed = await self._create(graph, wanted, ours)
                await self._record(wanted, renewed)

    async def _create(self, graph: Graph, wanted: Wanted, ours: Collection[str]) -> Subscription:
        expires = self._now() + _LIFE

        async def subscribe() -> Subscription:
            return await graph.subscribe_to_call_records(
                notification_url=wanted.notification_url,
                expires=expires,
                client_state=tenant_state_of(self._secret_keys, wanted.tenant_id),
            )

        try:
            return await subscribe()
        except RefusedError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            # Made before, and its answer lost; or another installation's, which is left alone.
            standing = next((one for one in await graph.subscriptions() if is_same(one.resource, CALL_RECORDS)), None)
            if standing is None or standing.notification_url not in ours:
                raise
        if standing.notification_url == wanted.notification_url:
            return await graph.renew(standing.id, expires)
        await unsubscribe(graph, standing.id)
        return await subscribe()

    async def _record(self, wanted: Wanted, subscription: Subscription) -> None:
        expires = subscription.expiration_date_time
        due_at = max(expires - _MARGIN, self._now() + timedelta(seconds=FIRST_S))
        row = _none(wanted, due_at)
        await self._rows.put(replace(row, subscription_id=subscription.id, expires_at=expires))


def wanted_of(organization: OrganizationConfiguration) -> Wanted:
    """Return how the subscription of an organisation's tenant is, when it is that organisation's."""
    teams = organization.microsoft365
    return Wanted(teams.tenant_id.lower(), teams.client_id.lower(), f"{organization.public_url}{PATH}")


def _is_as(wanted: Wanted, row: TenantSubscription) -> bool:
    return (row.client_id, row.notification_url) == (wanted.client_id, wanted.notification_url)


def _none(wanted: Wanted, due_at: datetime) -> TenantSubscription:
    return TenantSubscription(wanted.tenant_id, wanted.client_id, wanted.notification_url, None, None, due_at, 0)
