"""Reads rows in pages, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Column, Row, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

_PAGE = 1000


async def rows_of(
    reads: AsyncEngine,
    query: Select[Any],
    where: Sequence[ColumnElement[bool]],
    order: Sequence[Column[Any]],
    page: int = _PAGE,
) -> AsyncIterator[Row[Any]]:
    """Give every row of `query` for which `where` holds, in `order`.

    The query must select the columns of `order`, which tell rows apart and should be those of an index.

    A cursor of the database would hold a transaction for as long as a slow reader takes, which PostgreSQL ends after a
    minute and which keeps SQLite's log growing. So each page begins after the last row of the one before; a row that is
    moved meanwhile may be met twice, or not at all.
    """
    ordered = query.order_by(*order).limit(page)
    begun = tuple_(*order)
    last: tuple[Any, ...] | None = None
    while True:
        # First: of several bounds SQLite goes by the one that it meets first, and would else pass over all earlier pages.
        following = (ordered if last is None else ordered.where(begun > last)).where(*where)
        async with reads.connect() as connection:
            rows = (await connection.execute(following)).all()
        for row in rows:
            yield row
        if len(rows) < page:
            return
        last = tuple(getattr(rows[-1], column.name) for column in order)
