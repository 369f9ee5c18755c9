"""What the database tells of messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Date, Interval, case, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from ehr_connector.reports.choosing import of_the_reader
from ehr_connector.reports.message_statuses import status_of_message
from ehr_connector.reports.paging import rows_of
from ehr_connector.reports.ports import Filters, MessageCount, MessageRow, MessageStatus, MessageSummary, Reader
from ehr_connector.reports.zones import offsets_of
from ehr_connector.store.schema import report_visit, send, visit


class _Cell(NamedTuple):
    """How many messages are alike."""

    channel: str
    occasion: str
    state: str
    reason: str | None
    day: date | str
    messages: int


_DEPARTMENT = func.coalesce(visit.c.department, "").label("department")
_ENVIRONMENT = func.coalesce(visit.c.environment, "").label("environment")
_OF_A_VISIT = send.outerjoin(visit, visit.c.visit == send.c.visit)


async def messages(reads: AsyncEngine, reader: Reader, filters: Filters) -> AsyncIterator[MessageRow]:
    """Give the messages in the order in which they were sent."""
    query = select(send, _DEPARTMENT, _ENVIRONMENT).select_from(_OF_A_VISIT)
    where = _chosen(reader, await _by_endpoint(reads, reader, filters))
    async for row in rows_of(reads, query, where, (send.c.first_sent_at, send.c.digest)):
        status = status_of_message(row.state, row.reason)
        yield MessageRow(
            first_sent_at=row.first_sent_at,
            sent_from=row.sender,
            visit=row.visit,
            channel=row.channel,
            occasion=row.occasion,
            status=status,
            reason=row.reason,
            department=row.department,
            endpoint=row.endpoint,
            environment=row.environment,
        )


async def message_summary(reads: AsyncEngine, reader: Reader, filters: Filters) -> MessageSummary:
    """Return the numbers of the messages."""
    filters = await _by_endpoint(reads, reader, filters)
    async with reads.connect() as connection:
        groups = (send.c.channel, send.c.occasion, send.c.state, send.c.reason, _day(connection, filters))
        query = select(*groups, func.count())
        if filters.departments or filters.environments:
            query = query.select_from(_OF_A_VISIT)
        query = query.where(*_chosen(reader, filters)).group_by(*groups)
        cells = [_Cell(*row) for row in await connection.execute(query)]
    counts: Counter[tuple[str, str, MessageStatus, str | None]] = Counter()
    days: dict[date, Counter[MessageStatus]] = {}
    for cell in cells:
        status = status_of_message(cell.state, cell.reason)
        counts[cell.channel, cell.occasion, status, cell.reason] += cell.messages
        at = cell.day if isinstance(cell.day, date) else date.fromisoformat(cell.day)
        days.setdefault(at, Counter())[status] += cell.messages
    return MessageSummary(
        total=counts.total(),
        counts=[
            MessageCount(*alike, number)
            for alike, number in sorted(counts.items(), key=lambda one: (*one[0][:3], one[0][3] or ""))
        ],
        by_day={day: dict(days[day]) for day in sorted(days)},
    )


async def _by_endpoint(reads: AsyncEngine, reader: Reader, filters: Filters) -> Filters:
    """Return filters that choose environments by their endpoints: those are in the index, so that no visit has to be looked up.

    An endpoint is of one environment. Where its name was of both, one after the other, each message's visit tells.
    """
    if not filters.environments:
        return filters
    places = select(report_visit.c.endpoint, report_visit.c.environment)
    async with reads.connect() as connection:
        found = (await connection.execute(places.where(*of_the_reader(report_visit, reader)).distinct())).all()
    endpoints = [row.endpoint for row in found if row.environment in filters.environments]
    if filters.endpoints:
        endpoints = [one for one in endpoints if one in filters.endpoints]
    if not endpoints or len({row.endpoint for row in found}) < len(found):
        return filters
    return replace(filters, endpoints=endpoints, environments=())


def _day(connection: AsyncConnection, filters: Filters) -> ColumnElement[Any]:
    """Return the day in the zone of the filters; SQLite keeps times in UTC, as text, and knows no zones."""
    at = send.c.first_sent_at
    offsets = offsets_of(filters.zone, filters.start, filters.end)
    if connection.dialect.name == "postgresql":
        day = cast(func.timezone("UTC", at) + _by_time([literal(one, Interval) for _, one in offsets], offsets), Date)
    else:
        day = func.date(at, _by_time([literal(f"{one.total_seconds():+.0f} seconds") for _, one in offsets], offsets))
    return day.label("day")


def _by_time(values: Sequence[ColumnElement[Any]], offsets: Sequence[tuple[datetime, timedelta]]) -> ColumnElement[Any]:
    """Return the value of the time from which on it holds."""
    if len(values) == 1:
        return values[0]
    until = [begins_at for begins_at, _ in offsets[1:]]
    earlier = zip(until, values, strict=False)
    return case(*((send.c.first_sent_at < end, value) for end, value in earlier), else_=values[-1])


def _chosen(reader: Reader, filters: Filters) -> Sequence[ColumnElement[bool]]:
    columns = (
        (_DEPARTMENT, filters.departments),
        (send.c.endpoint, filters.endpoints),
        (_ENVIRONMENT, filters.environments),
    )
    return [
        send.c.namespace == reader.namespace,
        send.c.name == reader.name,
        send.c.first_sent_at >= filters.start,
        send.c.first_sent_at < filters.end,
        *(column.in_(values) for column, values in columns if values),
    ]
