"""Which Microsoft account a user of the EHR has: the pair of ids, and nothing else of either."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import account_link

EhrAccount = tuple[str, str, str]
"""FHIR base URL, user of the EHR there, and the Entra tenant in which the user may have an account."""
_A_STATEMENT = 200


class Accounts:
    """The pairs. Ids of the EHR mean something only together with the base URL."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def get(self, base_url: str, ehr_user: str, tenant_id: str) -> str | None:
        """Return the Entra object id of a user of the EHR, once the user has signed in."""
        query = select(account_link.c.entra_object_id).where(
            account_link.c.base_url == base_url,
            account_link.c.ehr_user == ehr_user,
            account_link.c.tenant_id == tenant_id,
        )
        async with self._reads.connect() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def linked(self, users: Collection[EhrAccount]) -> set[EhrAccount]:
        """Return those of `users` who have signed in."""
        wanted, found = list(users), set[EhrAccount]()
        columns = (account_link.c.base_url, account_link.c.ehr_user, account_link.c.tenant_id)
        async with self._reads.connect() as connection:
            for first in range(0, len(wanted), _A_STATEMENT):
                query = select(*columns).where(tuple_(*columns).in_(wanted[first : first + _A_STATEMENT]))
                found.update((row.base_url, row.ehr_user, row.tenant_id) for row in await connection.execute(query))
        return found

    async def put(self, base_url: str, ehr_user: str, tenant_id: str, entra_object_id: str) -> None:
        """Remember the account of a user; a later sign-in replaces it."""
        values = {"entra_object_id": entra_object_id, "linked_at": self._now()}
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(account_link).values(
                base_url=base_url, ehr_user=ehr_user, tenant_id=tenant_id, **values
            )
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["base_url", "ehr_user", "tenant_id"], set_=values)
            )
