"""Erases a user of the EHR, and looks afterwards whether any table still names the user."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Select, String, Table, Text, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import reading
from ehr_connector.store.schema import account_link, metadata


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done, by table."""

    removed: Mapping[str, int]
    left: Mapping[str, int]
    """Rows that hold one of the user's ids still; every table is here."""
    is_configured: bool
    """Whether a configuration names one of the ids: that comes from the organisation's own repository."""


async def erase_user(engine: AsyncEngine, base_url: str, ehr_user: str) -> Erased:
    """Remove the pairs of ids of a user, then search every column of text of every table for each of these ids.

    The audit log names users by keyed digests alone, which no search by id finds.
    """
    mine = (account_link.c.base_url == base_url) & (account_link.c.ehr_user == ehr_user)
    async with engine.begin() as connection:
        statement = delete(account_link).where(mine).returning(account_link.c.entra_object_id)
        accounts = (await connection.execute(statement)).scalars().all()
    ids = {ehr_user, *accounts}
    left: dict[str, int] = {}
    configured = 0
    async with reading(engine).connect() as connection:
        for table in metadata.sorted_tables:
            if _columns(table) and table is not account_link:
                left[table.name] = (await connection.execute(_naming(table, ids))).scalar_one()
        # Another user of the EHR may have the same Microsoft account, and another hospital a user of the same id.
        left[account_link.name] = (
            await connection.execute(select(func.count()).select_from(account_link).where(mine))
        ).scalar_one()
        for one in ids:
            documents = metadata.tables["organization"].c.document.contains(f'"{one}"', autoescape=True)
            configured += (await connection.execute(select(func.count()).where(documents))).scalar_one()
    return Erased({account_link.name: len(accounts)}, left, configured > 0)


def _naming(table: Table, ids: Collection[str]) -> Select[int]:
    return select(func.count()).select_from(table).where(or_(*(column.in_(ids) for column in _columns(table))))


def _columns(table: Table) -> Sequence[Column[str]]:
    return [column for column in table.columns if isinstance(column.type, String) and not isinstance(column.type, Text)]
