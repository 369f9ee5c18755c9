"""Fetches the call records that Microsoft told of, and keeps the figures of those that are visits.

A tenant's records are of all its calls. One that is no visit's is looked at for its meeting alone, and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.graph import Graph
from ehr_connector.background import Rest
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.reports.quality.extraction import legs_of
from ehr_connector.store.call_records import CallRecordsToFetch, ToFetch
from ehr_connector.store.quality import Quality
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.refusals import RECORDS_ROLE, TeamsError, call_records_not_permitted
from ehr_connector.teams.retrying import pause, said
from ehr_connector.teams.tenant_subscriptions import tenants_of
from ehr_connector.visits.meeting_digest import meeting_digest_of

_log = logging.getLogger(__name__)
_AT_A_TIME = 8
"""Source: Graph, "Throttling limits": 1,500 requests in 20 seconds for an application in a tenant. Far below."""
_LATE = timedelta(hours=6)
"""A record that Graph told of may not be there for minutes; one that is not after so long never comes."""
_GIVEN_UP = timedelta(days=28)
"""Source: Graph, callRecord: kept for 30 days."""
_UTC = ZoneInfo("UTC")


class CallRecordWorker:
    """Fetches the records that are due."""

    def __init__(
        self,
        *,
        to_fetch: CallRecordsToFetch,
        quality: Quality,
        visits: Visits,
        directory: Directory,
        access: GraphAccess,
        secret_keys: SecretKeys,
        metrics: Metrics,
        now: Callable[[], datetime],
        rest: Rest,
    ) -> None:
        self._to_fetch = to_fetch
        self._quality = quality
        self._visits = visits
        self._directory = directory
        self._access = access
        self._secret_keys = secret_keys
        self._metrics = metrics
        self._now = now
        self._rest = rest

    async def run(self) -> None:
        """Work until cancelled; what is under way then is due again after a claim's time."""
        while True:
            try:
                done = await self.work_once()
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("call records: the database does not answer (%s)", type(exc).__name__)
                done = 0
            if not done:
                await self._rest()

    async def work_once(self) -> int:
        """Fetch some of what is due, and return how many were tried."""
        claimed = await self._to_fetch.claim(_AT_A_TIME)
        await asyncio.gather(*(self._see_to(one) for one in claimed))
        return len(claimed)

    async def _see_to(self, claimed: ToFetch) -> None:
        outcome = "failed"
        try:
            outcome = await self._fetched(claimed)
        except (RemoteError, CredentialError, TeamsError) as exc:
            if self._is_hopeless(claimed, exc):
                outcome = "gone"
                await self._to_fetch.done(claimed)
            else:
                _log.warning("a call record could not be fetched, tried again: %s", said(exc))
                await self._to_fetch.failed(claimed, self._now() + pause(claimed.attempts, exc))
        except Exception as exc:  # noqa: BLE001 (one record's trouble does not end the work on all others; it is due again)
            # The error's own text may quote a record.
            _log.error("a call record could not be seen to: %s", type(exc).__name__)
        finally:
            self._metrics.call_records.labels(outcome).inc()

    async def _fetched(self, claimed: ToFetch) -> str:
        """Fetch one record; return what became of it."""
        here = tenants_of(await self._directory.organizations()).get(claimed.tenant_id, ())
        if not here:
            await self._to_fetch.done(claimed)
            return "foreign"
        acting = await self._access.first_with(RECORDS_ROLE, here)
        if acting is None:
            raise TeamsError(call_records_not_permitted(here[0], is_advice=False))
        graph = self._access.of(acting)
        record = await graph.call_record(claimed.record)
        visit = await self._visit_of(record.join_web_url, here)
        if visit is None:
            await self._to_fetch.done(claimed)
            return "foreign"
        return await self._keep(graph, claimed, visit)

    async def _visit_of(self, join_web_url: str | None, here: Sequence[OrganizationConfiguration]) -> VisitRow | None:
        if not join_web_url:
            return None
        visit = await self._visits.by_meeting_digest(meeting_digest_of(join_web_url))
        is_theirs = visit is not None and any(
            (one.namespace, one.name) == (visit.namespace, visit.name) for one in here
        )
        return visit if is_theirs else None

    async def _keep(self, graph: Graph, claimed: ToFetch, visit: VisitRow) -> str:
        participants = await graph.call_participants(claimed.record)
        version, sessions = await graph.call_sessions(claimed.record)
        site = await self._directory.by_name(visit.namespace, visit.endpoint)
        zone = ZoneInfo(site.endpoint.appointments.time_zone) if site else _UTC
        is_new = await self._quality.put(
            self._secret_keys.name("call", claimed.tenant_id, claimed.record),
            version,
            visit,
            visit.starts_at.astimezone(zone).date(),
            legs_of(sessions, participants, claimed.tenant_id),
            then=lambda connection: self._to_fetch.done_in(connection, claimed),
        )
        return "recorded" if is_new else "repeated"

    def _is_hopeless(self, claimed: ToFetch, error: Exception) -> bool:
        is_missing = isinstance(error, RefusedError) and error.status == HTTPStatus.NOT_FOUND
        return self._now() - claimed.told_at > (_LATE if is_missing else _GIVEN_UP)
