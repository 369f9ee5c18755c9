"""Removes the oldest rows of the audit log. What is left still holds as a chain, and says itself where it was cut.

The chain is one for all organisations, so a row goes when all that are older may go too. The cut is recorded in the chain
before it is made: `verify` believes no other beginning than the first row or such a record. Only the newest record is needed
for that, so the older ones keep nothing from going.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.audit import Action, Audit, cut_after, tell
from ehr_connector.store.database import reading
from ehr_connector.store.schema import audit_event

_ACTOR = "retention"


class AuditExpiry:
    """Cuts the log."""

    def __init__(self, engine: AsyncEngine, audit: Audit, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._audit = audit
        self._now = now

    async def expire(self, kept: Callable[[str, str], timedelta]) -> int:
        """Remove the rows before the first that an organisation still keeps, by how long each does; return how many."""
        async with self._reads.connect() as connection:
            if await self._last_to_go(connection, kept) is None:
                return 0
        async with self._engine.begin() as connection:
            last = await self._last_to_go(connection, kept)
            if last is None:
                return 0
            event = await self._audit.record_in(connection, "", "", Action.EXPIRED, _ACTOR, cut_after(*last))
            removed = await connection.execute(delete(audit_event).where(audit_event.c.number <= last[0]))
        tell(event)
        return removed.rowcount

    async def _last_to_go(
        self, connection: AsyncConnection, kept: Callable[[str, str], timedelta]
    ) -> tuple[int, str] | None:
        """Return number and digest of the newest row that may go with all before it."""
        is_no_cut = audit_event.c.action != Action.EXPIRED.value
        organizations = select(audit_event.c.namespace, audit_event.c.name).where(is_no_cut).distinct()
        first_kept: list[int] = []
        for namespace, name in (await connection.execute(organizations)).all():
            first = select(func.min(audit_event.c.number)).where(
                is_no_cut,
                audit_event.c.namespace == namespace,
                audit_event.c.name == name,
                audit_event.c.happened_at >= self._now() - kept(namespace, name),
            )
            found = (await connection.execute(first)).scalar_one()
            if found is not None:
                first_kept.append(found)
        # A record of a cut goes with what comes after it: alone it would be followed by the next one for ever.
        rows = select(audit_event.c.number, audit_event.c.digest).where(is_no_cut)
        last = rows.order_by(audit_event.c.number.desc()).limit(1)
        if first_kept:
            last = last.where(audit_event.c.number < min(first_kept))
        row = (await connection.execute(last)).one_or_none()
        return None if row is None else (row.number, row.digest)
