"""Erases a user of the EHR, and looks afterwards whether any table still names the user."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Select, String, Table, Text, delete, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ColumnElement

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
    is_known: bool
    """Whether anybody had or has a pair at this base URL: one that is claimed no more has users still."""
    elsewhere: Sequence[str]
    """Other base URLs at which there is a user of the same id."""


async def erase_user(engine: AsyncEngine, base_url: str, ehr_user: str) -> Erased:
    """Remove the pairs of ids of a user, then search every column of text of every table for each of these ids.

    An id is also found as a word of a longer text: `4122600` in `Practitioner/4122600`. The audit log names users by keyed
    digests alone, which no search by id finds.
    """
    mine = (account_link.c.base_url == base_url) & (account_link.c.ehr_user == ehr_user)
    async with engine.begin() as connection:
        statement = delete(account_link).where(mine).returning(account_link.c.entra_object_id)
        accounts = (await connection.execute(statement)).scalars().all()
    ids = {ehr_user, *accounts}
    left: dict[str, int] = {}
    configured = 0
    places = select(account_link.c.base_url).distinct()
    others = places.where(account_link.c.base_url != base_url, account_link.c.ehr_user == ehr_user)
    async with reading(engine).connect() as connection:
        if connection.dialect.name == "postgresql":  # every row of every table is read, however many there are
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
        for table in metadata.sorted_tables:
            if _columns(table) and table is not account_link:
                left[table.name] = (await connection.execute(_naming(table, ids))).scalar_one()
        # Another user of the EHR may have the same Microsoft account, and another hospital a user of the same id.
        left[account_link.name] = (
            await connection.execute(
                select(func.count()).where(
                    account_link.c.base_url == base_url, _is_named(account_link.c.ehr_user, ehr_user)
                )
            )
        ).scalar_one()
        neighbour = (await connection.execute(places.where(account_link.c.base_url == base_url))).first()
        elsewhere = sorted((await connection.execute(others)).scalars())
        # There a practitioner stands without the type.
        for one in {*ids, ehr_user.removeprefix("Practitioner/")}:
            documents = metadata.tables["organization"].c.document.contains(f'"{one}"', autoescape=True)
            configured += (await connection.execute(select(func.count()).where(documents))).scalar_one()
    removed = {account_link.name: len(accounts)}
    return Erased(removed, left, configured > 0, bool(accounts) or neighbour is not None, elsewhere)


def _naming(table: Table, ids: Collection[str]) -> Select[int]:
    named = (_is_named(column, one) for column in _columns(table) for one in ids)
    return select(func.count()).select_from(table).where(or_(*named))


def _is_named(column: Column[str], one: str) -> ColumnElement[bool]:
    """Return whether a text holds an id between its ends, blanks and slashes; a part of a longer word is no id."""
    words = literal(" ") + func.replace(column, "/", " ") + " "
    return words.contains(f" {one.replace('/', ' ')} ", autoescape=True)


def _columns(table: Table) -> Sequence[Column[str]]:
    return [column for column in table.columns if isinstance(column.type, String) and not isinstance(column.type, Text)]
