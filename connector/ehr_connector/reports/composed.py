"""The reports put together: sign-in, pages, and the dependency that lets readers in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.entra.sign_in import PersonSignIn
from ehr_connector.audit import Audit
from ehr_connector.audit_expiry import AuditExpiry
from ehr_connector.background import Work, every
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.reports.quality.queries import QualityReports
from ehr_connector.reports.queries import Queries
from ehr_connector.reports.refresh import Refresher
from ehr_connector.reports.retention import Retention
from ehr_connector.reports.web.access import ReportsAccess
from ehr_connector.reports.web.api import ReportsApi
from ehr_connector.reports.web.routes import ReportPages
from ehr_connector.reports.web.sign_in import ReportsSignIn
from ehr_connector.store.expiry import Expiry
from ehr_connector.store.report_rows import ReportRows
from ehr_connector.store.single_use import SingleUse
from ehr_connector.web.pages import Pages

_TELL_S = 15.0


class Reports:
    """Everything below `/reports`."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        directory: Directory,
        entra: PersonSignIn | None,
        audit: Audit,
        single_use: SingleUse,
        secret: SecretKeys,
        pages: Pages,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.access = ReportsAccess(directory, secret, single_use, now)
        self._rows = ReportRows(engine, now)
        self._refresher = Refresher(self._rows, directory)
        self._metrics = metrics
        self._retention = Retention(Expiry(engine), AuditExpiry(engine, audit, now), directory, now)
        self._sign_in = ReportsSignIn.create(
            directory=directory,
            entra=entra,
            access=self.access,
            audit=audit,
            single_use=single_use,
            secret=secret,
            pages=pages,
            now=now,
        )
        queries, quality = Queries(engine), QualityReports(engine, directory)
        self._api = ReportsApi(queries, quality, self.access.require, directory, now)
        self._pages = ReportPages(
            access=self.access,
            queries=queries,
            quality=quality,
            directory=directory,
            secret=secret,
            pages=pages,
            now=now,
        )

    def routers(self) -> Sequence[APIRouter]:
        """Return the routes."""
        return [self._sign_in.router(), self._pages.router(), self._api.router()]

    def worker_works(self) -> Mapping[str, Work]:
        """Return the work of which some process must do each piece."""
        return {
            "reports": self._refresher.run,
            "age of reports": partial(every, _TELL_S, self._tell_age),
            "retention": self._retention.run,
        }

    async def _tell_age(self) -> None:
        """Show in the metrics how old the reports are: beside the work, so that it shows when that stands still."""
        self._metrics.oldest_due_report.set(await self._rows.oldest_due_s())
