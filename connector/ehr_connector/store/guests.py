"""Links of a visit for guests and interpreters: numbered, listed to the clinician, revocable one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import reading
from ehr_connector.store.schema import guest_link

GUESTS_MAX = 20
"""Links of one visit, revoked ones among them."""


@dataclass(frozen=True, slots=True)
class GuestLink:
    """One link."""

    number: int
    kind: str
    made_at: datetime
    revoked_at: datetime | None


class Guests:
    """The links of each visit."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def add(self, visit: str, kind: str) -> int | None:
        """Return the number of a new link, or None when the visit has as many as it may have."""
        while True:
            highest = select(func.coalesce(func.max(guest_link.c.number), 0)).where(guest_link.c.visit == visit)
            try:
                async with self._engine.begin() as connection:
                    number = (await connection.execute(highest)).scalar_one() + 1
                    if number > GUESTS_MAX:
                        return None
                    values = {"visit": visit, "number": number, "kind": kind, "made_at": self._now()}
                    await connection.execute(insert(guest_link).values(**values))
            except IntegrityError:
                continue  # another replica took the number
            return number

    async def revoke(self, visit: str, number: int) -> None:
        """Let a link open nothing any more."""
        mine = (guest_link.c.visit == visit) & (guest_link.c.number == number) & guest_link.c.revoked_at.is_(None)
        async with self._engine.begin() as connection:
            await connection.execute(update(guest_link).where(mine).values(revoked_at=self._now()))

    async def of(self, visit: str) -> Sequence[GuestLink]:
        """Return the links of a visit."""
        query = select(guest_link).where(guest_link.c.visit == visit).order_by(guest_link.c.number)
        async with self._reads.connect() as connection:
            rows = await connection.execute(query)
            return [GuestLink(row.number, row.kind, row.made_at, row.revoked_at) for row in rows]

    async def is_alive(self, visit: str, number: int, kind: str) -> bool:
        """Return whether a link was made and not revoked."""
        return any(
            link.number == number and link.kind == kind and link.revoked_at is None for link in await self.of(visit)
        )
