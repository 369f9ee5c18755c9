"""The parts of Teams meetings, put together; built once by the app."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.entra.applications import Applications
from ehr_clients.entra.credentials import credential
from ehr_clients.entra.sign_in import PersonSignIn
from ehr_clients.entra.tokens import AppTokens
from ehr_clients.http import client, tls_context
from ehr_connector.background import Rest, Work
from ehr_connector.directory import Directory
from ehr_connector.keys.notification import NotificationKeys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.settings import Settings
from ehr_connector.store.call_records import CallRecordsToFetch
from ehr_connector.store.events import Events
from ehr_connector.store.graph_refusals import GraphRefusals
from ehr_connector.store.leases import Leases
from ehr_connector.store.mutex import Mutex
from ehr_connector.store.subscriptions import Subscriptions
from ehr_connector.store.tenant_subscriptions import TenantSubscriptions
from ehr_connector.store.visits import Visits
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.call_record_notifications import CallRecordNotifications
from ehr_connector.teams.meetings import Meetings
from ehr_connector.teams.notifications import Notifications, OnTold
from ehr_connector.teams.preflight import Preflight
from ehr_connector.teams.subscriptions import SubscriptionWorker
from ehr_connector.teams.tenant_subscriptions import TenantSubscriptionWorker
from ehr_connector.teams.validation_tokens import ValidationTokens

_FETCH_S = 5.0
"""So often is looked for call records to fetch, when nobody tells that there are some."""


class Teams:
    """What the rest of the connector uses of Teams."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        *,
        visits: Visits,
        events: Events,
        directory: Directory,
        secret_keys: SecretKeys,
        metrics: Metrics,
        now: Callable[[], datetime],
        on_told: OnTold,
    ) -> None:
        tls = tls_context(settings.ca_file)
        self._http = client(tls=tls)
        self._entra: Applications | None = None
        self.sign_in: PersonSignIn | None = None
        tokens: AppTokens | None = None
        if settings.graph_credential is not None:
            self._entra = Applications(
                settings.entra_authority,
                credential=credential(settings.graph_credential),
                instance_discovery=settings.entra_instance_discovery,
                tls=tls,
            )
            self.sign_in = PersonSignIn(self._entra)
            tokens = AppTokens(self._entra, f"{settings.graph_url}/.default")
        self.access = access = GraphAccess(self._http, settings.graph_url, tokens)
        self.notification_keys = NotificationKeys(settings.keys_dir, now)
        rows = Subscriptions(engine, now)
        self.subscriptions = SubscriptionWorker(
            rows=rows,
            visits=visits,
            directory=directory,
            access=access,
            notification_keys=self.notification_keys,
            secret_keys=secret_keys,
            metrics=metrics,
            now=now,
        )
        refusals = GraphRefusals(engine, now)
        self.meetings = Meetings(
            access, visits, self.subscriptions.ask, self.subscriptions.is_alive, Mutex(engine, now), refusals
        )
        self.preflight = Preflight(access, refusals, now, time.monotonic)
        self.call_records = CallRecordsToFetch(engine, now)
        self.rest_from_call_records = Rest(_FETCH_S)
        tenants = TenantSubscriptions(engine, now)
        self.tenant_subscriptions = TenantSubscriptionWorker(
            rows=tenants,
            leases=Leases(engine, uuid4().hex, now),
            directory=directory,
            access=access,
            secret_keys=secret_keys,
            metrics=metrics,
            now=now,
        )
        self.notifications = Notifications(
            visits=visits,
            events=events,
            subscriptions=rows,
            directory=directory,
            tokens=ValidationTokens(
                self._http, settings.entra_authority, settings.notification_token_issuer, time.monotonic
            ),
            notification_keys=self.notification_keys,
            secret_keys=secret_keys,
            metrics=metrics,
            on_told=on_told,
            wake_subscriptions=self.subscriptions.wake,
            call_records=CallRecordNotifications(
                to_fetch=self.call_records,
                subscriptions=tenants,
                directory=directory,
                wake_fetching=self.rest_from_call_records.wake,
                wake_subscriptions=self.tenant_subscriptions.wake,
            ),
        )

    def web_works(self) -> Mapping[str, Work]:
        """Return the work of a process that takes notifications."""
        return {"graph notifications": self.notifications.run}

    def worker_works(self) -> Mapping[str, Work]:
        """Return the work of which some process must do each piece."""
        return {
            "graph subscriptions": self.subscriptions.run,
            "call record subscriptions": self.tenant_subscriptions.run,
        }

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()
        if self._entra is not None:
            await self._entra.close()
