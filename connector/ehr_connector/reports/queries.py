"""What the reports tell, from the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

from ehr_connector.audit import Outcome
from ehr_connector.reports import message_queries, visit_queries
from ehr_connector.reports.paging import rows_of
from ehr_connector.reports.ports import (
    AuditRow,
    AuditSummary,
    Choices,
    ConsumptionRow,
    Filters,
    MessageRow,
    MessageSummary,
    Reader,
    VisitSummary,
)
from ehr_connector.store.database import reading
from ehr_connector.store.schema import audit_event

_FAILURES = frozenset({Outcome.REFUSED, Outcome.FAILED})
_IN_ORDER = (audit_event.c.happened_at, audit_event.c.number)
"""The order of the index; by number alone, each page would sort all rows of the organisation."""


class Queries:
    """Reads alone. A summary is the sum of the rows that the same filters give, at the moment of each."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = reading(engine)

    async def choices(self, reader: Reader) -> Choices:
        """Return what can be filtered by."""
        return await visit_queries.choices(self._reads, reader)

    def visits(self, reader: Reader, filters: Filters) -> AsyncIterator[ConsumptionRow]:
        """Give the visits in the order of their booked time."""
        return visit_queries.visits(self._reads, reader, filters)

    async def visit_summary(self, reader: Reader, filters: Filters) -> VisitSummary:
        """Return the numbers of the visits."""
        return await visit_queries.visit_summary(self._reads, reader, filters)

    def messages(self, reader: Reader, filters: Filters) -> AsyncIterator[MessageRow]:
        """Give the messages in the order in which they were sent."""
        return message_queries.messages(self._reads, reader, filters)

    async def message_summary(self, reader: Reader, filters: Filters) -> MessageSummary:
        """Return the numbers of the messages."""
        return await message_queries.message_summary(self._reads, reader, filters)

    async def audit(self, reader: Reader, start: datetime, end: datetime) -> AsyncIterator[AuditRow]:
        """Give the organisation's audit log, the oldest first."""
        where = _of_the_log(reader, start, end)
        async for row in rows_of(self._reads, select(audit_event), where, _IN_ORDER):
            yield _audit_row(row)

    async def audit_summary(self, reader: Reader, start: datetime, end: datetime, newest: int) -> AuditSummary:
        """Return the numbers of the audit log, and so many of its newest rows."""
        where = _of_the_log(reader, start, end)
        groups = (audit_event.c.action, audit_event.c.outcome)
        counted = select(*groups, func.count().label("times")).where(*where).group_by(*groups)
        rows = select(audit_event).where(*where).order_by(*(one.desc() for one in _IN_ORDER)).limit(newest)
        by_action: Counter[str] = Counter()
        not_successful = 0
        async with self._reads.connect() as connection:
            for row in await connection.execute(counted):
                by_action[row.action] += row.times
                not_successful += row.times if row.outcome in _FAILURES else 0
            told = [_audit_row(row) for row in await connection.execute(rows)]
        return AuditSummary(dict(by_action.most_common()), not_successful, told)


def _of_the_log(reader: Reader, start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        audit_event.c.namespace == reader.namespace,
        audit_event.c.name == reader.name,
        audit_event.c.happened_at >= start,
        audit_event.c.happened_at < end,
    )


def _audit_row(row: Row[Any]) -> AuditRow:
    return AuditRow(
        number=row.number,
        happened_at=row.happened_at,
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        object=row.object,
        digest=row.digest,
    )
