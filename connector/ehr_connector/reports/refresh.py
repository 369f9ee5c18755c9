"""Keeps the reports' rows as the log of events is: within a second of an event, and when time alone changes something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.directory import Site
from ehr_connector.reports.consumption import Booked, course_of
from ehr_connector.store.report_rows import Make, ReportRow
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.events import VisitEvent

_log = logging.getLogger(__name__)
_AT_A_TIME = 100
"""Few enough that writers of SQLite wait for milliseconds."""
_LOOK_S = 1.0
_FAILED_S = 5.0
_UTC = ZoneInfo("UTC")


class Rows(Protocol):
    """The rows (`ehr_connector.store.report_rows`)."""

    async def renew(self, most: int, make: Make, /) -> int:
        """Make some rows anew that are due, and return how many."""
        ...


class Places(Protocol):
    """Where endpoints are (`ehr_connector.directory`)."""

    async def by_name(self, namespace: str, endpoint: str, /) -> Site | None:
        """Return the site of a FhirEndpoint."""
        ...


class Refresher:
    """The worker's part."""

    def __init__(self, rows: Rows, places: Places) -> None:
        self._rows = rows
        self._places = places

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.refresh()
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("reports: the database does not answer (%s)", type(exc).__name__)
                await asyncio.sleep(_FAILED_S)
            else:
                await asyncio.sleep(_LOOK_S)

    async def refresh(self) -> int:
        """Make every row anew that is due now, and return how many there were."""
        renewed = 0
        while some := await self._rows.renew(_AT_A_TIME, self._made):
            renewed += some
            await asyncio.sleep(0)
        return renewed

    async def _made(
        self, visit: VisitRow, events: Sequence[VisitEvent], now: datetime
    ) -> tuple[ReportRow, datetime | None]:
        site = await self._places.by_name(visit.namespace, visit.endpoint)
        zone = ZoneInfo(site.endpoint.appointments.time_zone) if site else _UTC
        return row_of(visit, events, now, zone)


def row_of(
    visit: VisitRow, events: Sequence[VisitEvent], now: datetime, zone: ZoneInfo
) -> tuple[ReportRow, datetime | None]:
    """Return a visit's row, and when it is to be made anew although nothing happens."""
    course = course_of(Booked(visit.kind, visit.starts_at, visit.ends_at), events, now)
    row = ReportRow(
        visit=visit.visit,
        day=visit.starts_at.astimezone(zone).date(),
        status=course.status.value,
        started_at=course.started_at,
        ended_at=course.ended_at,
        duration_s=course.duration_s,
        lobby_wait_s=course.lobby_wait_s,
        attendees=course.attendees,
        peak_attendees=course.peak_attendees,
        brought_by=course.brought_by.value,
        device_test=course.device_test.value if course.device_test else None,
    )
    return row, course.changes_at
