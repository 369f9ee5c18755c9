"""The JSON API of the reports, with the downloads; `openapi.json` describes it to programs.

Everything is below an organisation, and is let through by what `require` returns. Days are whole days at the clinic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response

from ehr_api.time_zones import time_zone_names
from ehr_connector.directory import Directory
from ehr_connector.reports.ports import (
    AuditRow,
    Choices,
    ConsumptionRow,
    Filters,
    MessageRow,
    MessageSummary,
    Reader,
    ReportQueries,
    ReportRole,
    Require,
    VisitSummary,
)
from ehr_connector.reports.quality.ports import QualityQueries, QualityRow, QualitySummary
from ehr_connector.reports.web.downloads import Form, download
from ehr_connector.reports.web.filters import DAYS, DAYS_MAX, zone_of
from ehr_connector.web.problems import ProblemError

PREFIX = "/reports/api/v1"
ORGANIZATION = PREFIX + "/organizations/{namespace}/{name}"
_NAMES = 50
_EARLIEST, _LATEST = date(2000, 1, 1), date(2200, 1, 1)

_Names = Annotated[list[str], Query(max_length=_NAMES)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query of an address asks for; an empty value is as if it were not there."""

    first: date | None
    last: date | None
    zone: str | None
    departments: Sequence[str]
    endpoints: Sequence[str]
    environments: Sequence[str]


def asked(
    first: Annotated[str, Query(alias="from", description="First day, by default 29 days before the last.")] = "",
    last: Annotated[str, Query(alias="to", description="Last day, by default today.")] = "",
    zone: Annotated[
        str, Query(alias="timeZone", description="IANA zone of the days, by default that of the first endpoint.")
    ] = "",
    department: _Names = [],  # noqa: B006 (FastAPI copies it)
    endpoint: _Names = [],  # noqa: B006 (the same)
    environment: _Names = [],  # noqa: B006 (the same)
) -> Asked:
    """Return the query's parameters."""
    if zone and zone not in time_zone_names():
        raise _invalid("timeZone", f"'{zone}' is no zone of the IANA database")
    some = [
        _names(name, values)
        for name, values in (("department", department), ("endpoint", endpoint), ("environment", environment))
    ]
    return Asked(_day("from", first), _day("to", last), zone or None, *some)


_Asked = Annotated[Asked, Depends(asked)]


@dataclass(frozen=True, slots=True)
class ReportsApi:
    """The handlers."""

    queries: ReportQueries
    quality: QualityQueries
    require: Require
    directory: Directory
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["reports"])
        add = router.add_api_route
        add(f"{ORGANIZATION}/choices", self.choices, response_model=Choices)
        add(f"{ORGANIZATION}/visits/summary", self.visit_summary, response_model=VisitSummary)
        add(f"{ORGANIZATION}/messages/summary", self.message_summary, response_model=MessageSummary)
        add(f"{ORGANIZATION}/call-quality/summary", self.quality_summary, response_model=QualitySummary)
        add(f"{ORGANIZATION}/visits.{{form}}", self.visits, **_rows(ConsumptionRow))
        add(f"{ORGANIZATION}/messages.{{form}}", self.messages, **_rows(MessageRow))
        add(f"{ORGANIZATION}/call-quality.{{form}}", self.call_quality, **_rows(QualityRow))
        add(f"{ORGANIZATION}/audit.{{form}}", self.audit, **_rows(AuditRow))
        described = list(router.routes)

        async def openapi() -> Response:
            return JSONResponse(get_openapi(title="EHR connector reports", version="1", routes=described))

        add(f"{PREFIX}/openapi.json", openapi, include_in_schema=False)
        return router

    async def choices(self, request: Request, namespace: str, name: str) -> Choices:
        """Return what can be filtered by."""
        return await self.queries.choices(await self._viewer(request))

    async def visit_summary(self, request: Request, namespace: str, name: str, query: _Asked) -> VisitSummary:
        """Return the numbers of the visits, by day, status, department, endpoint and channel, and the waits in the lobby."""
        reader = await self._viewer(request)
        return await self.queries.visit_summary(reader, await self._filters(reader, query))

    async def message_summary(self, request: Request, namespace: str, name: str, query: _Asked) -> MessageSummary:
        """Return the numbers of texts and e-mails, by status and, for those not sent, by reason."""
        reader = await self._viewer(request)
        return await self.queries.message_summary(reader, await self._filters(reader, query))

    async def quality_summary(self, request: Request, namespace: str, name: str, query: _Asked) -> QualitySummary:
        """Return the numbers of calls and of the parts in them, by what made them poor and by the organisation's dimensions."""
        reader = await self._viewer(request)
        return await self.quality.quality_summary(reader, await self._filters(reader, query))

    async def visits(self, request: Request, namespace: str, name: str, form: Form, query: _Asked) -> Response:
        """Send a row for each visit, in the order of the booked time."""
        reader = await self._viewer(request)
        rows = self.queries.visits(reader, await self._filters(reader, query))
        return download(rows, ConsumptionRow, form, "visits")

    async def messages(self, request: Request, namespace: str, name: str, form: Form, query: _Asked) -> Response:
        """Send a row for each text and e-mail, in the order in which they were sent."""
        reader = await self._viewer(request)
        rows = self.queries.messages(reader, await self._filters(reader, query))
        return download(rows, MessageRow, form, "messages")

    async def call_quality(self, request: Request, namespace: str, name: str, form: Form, query: _Asked) -> Response:
        """Send a row for each participant's part of a call."""
        reader = await self._viewer(request)
        rows = self.quality.quality_rows(reader, await self._filters(reader, query))
        own = {"dimensions": await self.quality.dimensions(reader)}
        return download(rows, QualityRow, form, "call-quality", own)

    async def audit(self, request: Request, namespace: str, name: str, form: Form, query: _Asked) -> Response:
        """Send the audit log, the oldest row first. Needs the role auditor."""
        reader = await self.require(ReportRole.AUDITOR)(request)
        filters = await self._filters(reader, query)
        rows: AsyncIterator[AuditRow] = self.queries.audit(reader, filters.start, filters.end)
        return download(rows, AuditRow, form, "audit")

    async def _viewer(self, request: Request) -> Reader:
        return await self.require(ReportRole.VIEWER)(request)

    async def _filters(self, reader: Reader, query: Asked) -> Filters:
        zone = query.zone or await self._zone(reader)
        last = query.last or self.now().astimezone(ZoneInfo(zone)).date()
        first = query.first or last - timedelta(days=DAYS - 1)
        if not timedelta() <= last - first < timedelta(days=DAYS_MAX):
            raise _invalid("from", f"must not be after 'to', nor {DAYS_MAX} days or more before it")
        return Filters.of_days(
            first,
            last,
            zone,
            departments=query.departments,
            endpoints=query.endpoints,
            environments=query.environments,
        )

    async def _zone(self, reader: Reader) -> str:
        organization = await self.directory.organization(reader.namespace, reader.name)
        return zone_of(organization) if organization else "UTC"


def _rows(row_type: type[Any]) -> Mapping[str, Any]:
    """Return how a download of rows is described."""
    return {"response_model": None, "responses": {200: {"model": list[row_type], "content": {"text/csv": {}}}}}


def _names(name: str, values: Sequence[str]) -> Sequence[str]:
    if not all(value.isprintable() for value in values):
        raise _invalid(name, "must be names without signs that cannot be printed")  # not every database takes them
    return [value for value in values if value]


def _day(name: str, text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _invalid(name, f"'{text[:20]}' is no day: write it as 2026-11-24") from None
    if not _EARLIEST <= day < _LATEST:
        raise _invalid(name, f"must be between {_EARLIEST} and {_LATEST}")
    return day


def _invalid(field: str, detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {detail}", field=field)
