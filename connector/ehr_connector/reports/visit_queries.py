"""What the database tells of visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from ehr_connector.reports.choosing import chosen, chosen_by_day, of_the_reader
from ehr_connector.reports.message_statuses import NOT_GONE_OUT
from ehr_connector.reports.paging import rows_of
from ehr_connector.reports.percentiles import waits_of
from ehr_connector.reports.ports import BroughtBy, Choices, ConsumptionRow, Filters, Reader, VisitStatus, VisitSummary
from ehr_connector.store.schema import report_visit, send
from ehr_connector.visits.events import Channel

_Key = TypeVar("_Key", bound=date | str)


class _Cell(NamedTuple):
    """How many visits are alike, and their sums."""

    day: date
    status: VisitStatus
    department: str
    endpoint: str
    brought_by: str
    visits: int
    seconds: int
    people: int


async def choices(reads: AsyncEngine, reader: Reader) -> Choices:
    """Return what there are visits of."""
    columns = (report_visit.c.department, report_visit.c.endpoint, report_visit.c.environment)
    query = select(*columns).where(*of_the_reader(report_visit, reader)).distinct()
    async with reads.connect() as connection:
        found = (await connection.execute(query)).all()
    departments, endpoints, environments = (sorted({row[number] for row in found}) for number in range(3))
    return Choices(departments, endpoints, environments)


async def visits(reads: AsyncEngine, reader: Reader, filters: Filters) -> AsyncIterator[ConsumptionRow]:
    """Give the visits in the order of their booked time."""
    query = select(report_visit, _sent(Channel.SMS), _sent(Channel.EMAIL))
    where = chosen(report_visit, reader, filters)
    async for row in rows_of(reads, query, where, (report_visit.c.starts_at, report_visit.c.visit)):
        yield _consumption(row)


async def visit_summary(reads: AsyncEngine, reader: Reader, filters: Filters) -> VisitSummary:
    """Return the numbers of the visits."""
    where = chosen_by_day(report_visit, reader, filters)
    groups = (
        report_visit.c.day,
        report_visit.c.status,
        report_visit.c.department,
        report_visit.c.endpoint,
        report_visit.c.brought_by,
    )
    figures = (
        func.count(),
        func.sum(report_visit.c.duration_s),
        func.sum(report_visit.c.attendees),
    )
    cube = select(*groups, *figures).where(*where).group_by(*groups)
    waited = (
        select(report_visit.c.day, report_visit.c.lobby_wait_s, func.count().label("visits"))
        .where(*where, report_visit.c.lobby_wait_s.is_not(None))
        .group_by(report_visit.c.day, report_visit.c.lobby_wait_s)
    )
    async with reads.connect() as connection:
        cells = [_Cell(row[0], VisitStatus(row[1]), *row[2:]) for row in await connection.execute(cube)]
        waits = [(row.day, row.lobby_wait_s, row.visits) for row in await connection.execute(waited)]
    by_day: dict[date, list[tuple[int, int]]] = {}
    for day, seconds, count in waits:
        by_day.setdefault(day, []).append((seconds, count))
    return VisitSummary(
        total=sum(cell.visits for cell in cells),
        by_status=_by_status(cells),
        by_day=_by(cells, lambda cell: cell.day),
        by_department=_by(cells, lambda cell: cell.department),
        by_endpoint=_by(cells, lambda cell: cell.endpoint),
        by_channel=_by(cells, lambda cell: BroughtBy(cell.brought_by)),
        waits=waits_of((seconds, count) for _, seconds, count in waits),
        waits_by_day={day: waits_of(some) for day, some in sorted(by_day.items())},
        duration_s=sum(int(cell.seconds) for cell in cells),
        attendees=sum(int(cell.people) for cell in cells),
    )


def _sent(channel: Channel) -> ColumnElement[int]:
    mine = (send.c.visit == report_visit.c.visit) & (send.c.channel == channel.value)
    taken = send.c.state.not_in(NOT_GONE_OUT)
    return select(func.count()).where(mine, taken).correlate(report_visit).scalar_subquery().label(channel.value)


def _by_status(cells: Iterable[_Cell]) -> Mapping[VisitStatus, int]:
    found: Counter[VisitStatus] = Counter()
    for cell in cells:
        found[cell.status] += cell.visits
    return dict(found)


def _by(cells: Iterable[_Cell], key: Callable[[_Cell], _Key]) -> Mapping[_Key, Mapping[VisitStatus, int]]:
    found: dict[_Key, list[_Cell]] = {}
    for cell in cells:
        found.setdefault(key(cell), []).append(cell)
    return {one: _by_status(found[one]) for one in sorted(found)}


def _consumption(row: Row[Any]) -> ConsumptionRow:
    return ConsumptionRow(
        visit=row.visit,
        booked_start=row.starts_at,
        booked_end=row.ends_at,
        day=row.day,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_s=row.duration_s,
        lobby_wait_s=row.lobby_wait_s,
        status=VisitStatus(row.status),
        attendees=row.attendees,
        peak_attendees=row.peak_attendees,
        department=row.department,
        endpoint=row.endpoint,
        environment=row.environment,
        visit_type=row.kind,
        brought_by=BroughtBy(row.brought_by),
        device_test=row.device_test,
        sms_sent=row.sms,
        emails_sent=row.email,
    )
