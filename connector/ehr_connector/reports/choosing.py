"""Which rows of an organisation's visits, or of their calls, filters choose: conditions for the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from sqlalchemy import Table
from sqlalchemy.sql.elements import ColumnElement

from ehr_connector.reports.ports import Filters, Reader

_A_DAY = timedelta(days=1)


def of_the_reader(table: Table, reader: Reader) -> Sequence[ColumnElement[bool]]:
    """Return the conditions for all rows of the reader's organisation."""
    return [table.c.namespace == reader.namespace, table.c.name == reader.name]


def chosen(table: Table, reader: Reader, filters: Filters) -> Sequence[ColumnElement[bool]]:
    """Return the conditions for the rows that the filters choose; a row belongs to the booked time of its visit."""
    columns = (
        (table.c.department, filters.departments),
        (table.c.endpoint, filters.endpoints),
        (table.c.environment, filters.environments),
    )
    return [
        *of_the_reader(table, reader),
        table.c.starts_at >= filters.start,
        table.c.starts_at < filters.end,
        *(column.in_(values) for column, values in columns if values),
    ]


def chosen_by_day(table: Table, reader: Reader, filters: Filters) -> Sequence[ColumnElement[bool]]:
    """Return the same conditions for an index that begins with the day, which is at most one from that in UTC."""
    return [
        *chosen(table, reader, filters),
        table.c.day >= filters.start.astimezone(UTC).date() - _A_DAY,
        table.c.day <= filters.end.astimezone(UTC).date() + _A_DAY,
    ]
