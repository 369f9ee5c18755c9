"""What may be used once: whoever writes the row first has it, in every replica."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import single_use


class SingleUse:
    """Claims of keyed digests (`SecretKeys.name`)."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def claim(self, token: str, expires_at: datetime) -> bool:
        """Return whether this is the first use of `token`; it is remembered until `expires_at`."""
        async with self._engine.begin() as connection:
            return await self.claim_in(connection, token, expires_at)

    async def claim_in(self, connection: AsyncConnection, token: str, expires_at: datetime) -> bool:
        """Do as `claim`, in a transaction of the caller's: when that fails, the token is still unused."""
        statement = insert_for(connection)(single_use).values(token=token, expires_at=expires_at)
        statement = statement.on_conflict_do_nothing().returning(single_use.c.token)
        return (await connection.execute(statement)).scalar_one_or_none() is not None

    async def is_used(self, token: str) -> bool:
        """Return whether `token` was claimed."""
        async with self._reads.connect() as connection:
            found = await connection.execute(select(single_use.c.token).where(single_use.c.token == token))
            return found.first() is not None

    async def forget_expired(self) -> None:
        """Remove what could not be used any more anyway."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(single_use).where(single_use.c.expires_at < self._now()))
