"""What the database tells of call quality, judged by the organisation's thresholds of this moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date
from functools import reduce
from typing import Any, TypeVar

from sqlalchemy import Column, Executable, Row, RowMapping, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from ehr_api.v1alpha1.ehr_connector_config import QualityDimension, Reports
from ehr_connector.directory import Directory
from ehr_connector.reports.choosing import chosen, chosen_by_day
from ehr_connector.reports.paging import rows_of
from ehr_connector.reports.ports import Filters, Reader
from ehr_connector.reports.quality.judgement import (
    HIGHER_IS_POOR,
    LOWER_IS_POOR,
    Limits,
    capped,
    poor_because,
    together,
)
from ehr_connector.reports.quality.ports import (
    OTHER,
    UNKNOWN,
    Figures,
    PoorBecause,
    QualityCounts,
    QualityRow,
    QualitySummary,
)
from ehr_connector.store.database import reading
from ehr_connector.store.schema import call_quality
from ehr_connector.visits.events import Side

_Key = TypeVar("_Key", bound=date | str)
_FIGURES = tuple(field.name for field in fields(Figures))
_SOURCES: Mapping[str, Column[Any]] = {
    "Department": call_quality.c.department,
    "Endpoint": call_quality.c.endpoint,
    "Environment": call_quality.c.environment,
    "VisitType": call_quality.c.kind,
    "Location": call_quality.c.location,
    "NetworkKind": call_quality.c.network_kind,
    "Platform": call_quality.c.platform,
}
"""Where the values of an organisation's own dimensions are."""
_BITS = {reason: 1 << number for number, reason in enumerate(PoorBecause)}


class _Cell:
    """How many calls or legs are alike."""

    def __init__(self, row: RowMapping) -> None:
        self.values: Mapping[str, Any] = {str(name): value for name, value in row.items()}
        self.flags: int = self.values["flags"]
        self.count: int = self.values["alike"]

    @property
    def counts(self) -> QualityCounts:
        if not self.values["judged"]:
            return QualityCounts(unclassified=self.count)
        return QualityCounts(poor=self.count) if self.flags else QualityCounts(good=self.count)


class QualityReports:
    """Reads alone. A summary is the sum of the rows that the same filters give."""

    def __init__(self, engine: AsyncEngine, directory: Directory) -> None:
        self._reads = reading(engine)
        self._directory = directory

    async def dimensions(self, reader: Reader) -> Sequence[str]:
        """Return the names of the organisation's own dimensions."""
        return [one.name for one in (await self._configured(reader)).dimensions]

    async def quality_rows(self, reader: Reader, filters: Filters) -> AsyncIterator[QualityRow]:
        """Give the legs in the order of their visits' booked time."""
        reports = await self._configured(reader)
        limits, table = Limits.of(reports.thresholds), call_quality
        values = await self._values(reports.dimensions, chosen_by_day(table, reader, filters))
        where = chosen(table, reader, filters)
        async for row in rows_of(self._reads, select(table), where, (table.c.starts_at, table.c.call, table.c.leg)):
            own = {
                one.name: value if (value := getattr(row, _SOURCES[one.source].name)) in values[one.name] else OTHER
                for one in reports.dimensions
            }
            yield _row(row, limits, own)

    async def quality_summary(self, reader: Reader, filters: Filters) -> QualitySummary:
        """Return the numbers."""
        reports = await self._configured(reader)
        limits, where = Limits.of(reports.thresholds), chosen_by_day(call_quality, reader, filters)
        own = {_SOURCES[one.source] for one in reports.dimensions}
        columns = {call_quality.c.side, call_quality.c.network_kind, call_quality.c.platform, *own}
        # Both look at every row, so they do it side by side.
        legs, calls = await asyncio.gather(
            self._cells(_legs(columns, limits, where)), self._cells(_calls(limits, where))
        )
        return QualitySummary(
            calls=together(cell.counts for cell in calls),
            by_day=_by(calls, lambda cell: cell.values["day"]),
            by_department=_by(calls, lambda cell: cell.values["department"]),
            legs=together(cell.counts for cell in legs),
            by_side=_by(legs, lambda cell: cell.values["side"]),
            by_network_kind=_by(legs, lambda cell: cell.values["network_kind"]),
            by_platform=_by(legs, lambda cell: cell.values["platform"]),
            because=_because(legs),
            dimensions={
                one.name: capped(one, _by(legs, lambda cell, name=_SOURCES[one.source].name: cell.values[name]))
                for one in reports.dimensions
            },
        )

    async def _values(
        self, dimensions: Sequence[QualityDimension], where: Sequence[ColumnElement[bool]]
    ) -> Mapping[str, Collection[str]]:
        """Return which values of each dimension are below its cap, as the summary has them."""
        found: dict[str, Collection[str]] = {}
        async with self._reads.connect() as connection:
            for one in dimensions:
                column = _SOURCES[one.source]
                query = select(column, func.count()).where(*where).group_by(column)
                rows = (await connection.execute(query)).all()
                found[one.name] = capped(
                    one, {value: QualityCounts(unclassified=count) for value, count in rows}
                ).keys()
        return found

    async def _cells(self, query: Executable) -> Sequence[_Cell]:
        async with self._reads.connect() as connection:
            return [_Cell(row) for row in (await connection.execute(query)).mappings()]

    async def _configured(self, reader: Reader) -> Reports:
        organization = await self._directory.organization(reader.namespace, reader.name)
        return (organization.reports if organization else None) or Reports()


def _legs(columns: Iterable[Column[Any]], limits: Limits, where: Sequence[ColumnElement[bool]]):  # noqa: ANN202 (SQLAlchemy's own)
    groups = (*columns, _flags(limits).label("flags"), _judged().label("judged"))
    return select(*groups, func.count().label("alike")).where(*where).group_by(*groups)


def _calls(limits: Limits, where: Sequence[ColumnElement[bool]]):  # noqa: ANN202 (SQLAlchemy's own)
    """A call is poor when a leg is, and judged when one is."""
    is_poor = case((_flags(limits) > 0, 1), else_=0)
    table = call_quality
    call = (
        select(
            table.c.day,
            func.min(table.c.department).label("department"),
            func.max(is_poor).label("flags"),
            func.max(_judged()).label("judged"),
        )
        .where(*where)
        # In the order of the index, so that nothing has to be sorted; a call has one day.
        .group_by(table.c.day, table.c.call)
        .subquery()
    )
    groups = (call.c.day, call.c.department, call.c.flags, call.c.judged)
    return select(*groups, func.count().label("alike")).group_by(*groups)


def _flags(limits: Limits) -> ColumnElement[int]:
    """Return why a leg is poor, a bit for each reason: the judgement of `poor_because`, by the database."""
    bits = [
        case((call_quality.c[name] * sign > getattr(limits, name) * sign, _BITS[reason]), else_=0)
        for judged, sign in ((HIGHER_IS_POOR, 1), (LOWER_IS_POOR, -1))
        for reason, name in judged.items()
    ]
    return reduce(lambda one, other: one + other, bits)


def _judged() -> ColumnElement[int]:
    names = (*HIGHER_IS_POOR.values(), *LOWER_IS_POOR.values())
    return case((or_(*(call_quality.c[name].is_not(None) for name in names)), 1), else_=0)


def _by(cells: Iterable[_Cell], key: Callable[[_Cell], _Key]) -> Mapping[_Key, QualityCounts]:
    found: defaultdict[_Key, list[QualityCounts]] = defaultdict(list)
    for cell in cells:
        found[key(cell)].append(cell.counts)
    return {one: together(found[one]) for one in sorted(found)}


def _because(cells: Iterable[_Cell]) -> Mapping[PoorBecause, int]:
    found: defaultdict[PoorBecause, int] = defaultdict(int)
    for cell in cells:
        for reason, bit in _BITS.items():
            if cell.flags & bit:
                found[reason] += cell.count
    return dict(found)


def _row(row: Row[Any], limits: Limits, own: Mapping[str, str]) -> QualityRow:
    figures = Figures(**{name: getattr(row, name) for name in _FIGURES})
    return QualityRow(
        visit=row.visit,
        call=row.call,
        leg=row.leg,
        side=None if row.side == UNKNOWN else Side(row.side),
        booked_start=row.starts_at,
        day=row.day,
        started_at=row.started_at,
        duration_s=row.duration_s,
        department=row.department,
        endpoint=row.endpoint,
        environment=row.environment,
        visit_type=row.kind,
        location=row.location,
        network_kind=row.network_kind,
        platform=row.platform,
        figures=figures,
        poor_because=poor_because(figures, limits),
        dimensions=own,
    )
