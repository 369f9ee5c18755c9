"""The parts of Teams meetings, put together; built once by the app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.entra import Entra, credential
from ehr_clients.http import client, tls_context
from ehr_connector.directory import Directory
from ehr_connector.keys.notification import NotificationKeys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.settings import Settings
from ehr_connector.store.events import Events
from ehr_connector.store.subscriptions import Subscriptions
from ehr_connector.store.visits import Visits
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.meetings import Meetings
from ehr_connector.teams.notifications import Notifications, OnNew
from ehr_connector.teams.preflight import Preflight
from ehr_connector.teams.subscriptions import SubscriptionWorker
from ehr_connector.teams.validation_tokens import ValidationTokens


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
        on_new: OnNew,
    ) -> None:
        tls = tls_context(settings.ca_file)
        self._http = client(tls=tls)
        self.entra: Entra | None = None
        if settings.graph_credential is not None:
            self.entra = Entra(
                settings.entra_authority,
                credential=credential(settings.graph_credential),
                scope=f"{settings.graph_url}/.default",
                instance_discovery=settings.entra_instance_discovery,
                tls=tls,
            )
        access = GraphAccess(self._http, settings.graph_url, self.entra)
        notification_keys = NotificationKeys(settings.keys_dir, now)
        rows = Subscriptions(engine, now)
        self.subscriptions = SubscriptionWorker(
            rows=rows,
            visits=visits,
            directory=directory,
            access=access,
            notification_keys=notification_keys,
            secret_keys=secret_keys,
            metrics=metrics,
            now=now,
        )
        self.meetings = Meetings(access, visits, self.subscriptions.ask)
        self.preflight = Preflight(access, now, time.monotonic)
        self.notifications = Notifications(
            visits=visits,
            events=events,
            subscriptions=rows,
            directory=directory,
            tokens=ValidationTokens(
                self._http, settings.entra_authority, settings.notification_token_issuer, time.monotonic
            ),
            notification_keys=notification_keys,
            secret_keys=secret_keys,
            metrics=metrics,
            on_new=on_new,
            wake_subscriptions=self.subscriptions.wake,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Work in the background while the block lasts, then close every connection."""
        work = [
            asyncio.create_task(self.notifications.run(), name="graph notifications"),
            asyncio.create_task(self.subscriptions.run(), name="graph subscriptions"),
        ]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await self._http.aclose()
            if self.entra is not None:
                await self.entra.close()
