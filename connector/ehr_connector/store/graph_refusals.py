"""What Microsoft Graph tells only when a meeting is to be made: a limit of organisers, or that it was asked too much."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import GraphReason
from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import graph_refusal

_HOLDS = {GraphReason.MEETING_LIMIT_REACHED: timedelta(hours=1), GraphReason.THROTTLED: timedelta(minutes=5)}
"""How long it is believed, unless a meeting is made before: nobody says when it is over."""


class GraphRefusals:
    """The refusals of each organisation, for all replicas."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def of(self, namespace: str, name: str) -> AbstractSet[GraphReason]:
        """Return what was refused lately to an organisation."""
        mine = (graph_refusal.c.namespace == namespace) & (graph_refusal.c.name == name)
        query = select(graph_refusal.c.reason).where(mine, graph_refusal.c.ends_at > self._now())
        async with self._reads.connect() as connection:
            told = set((await connection.execute(query)).scalars())
        return {reason for reason in _HOLDS if reason.value in told}

    async def note(self, namespace: str, name: str, reason: GraphReason) -> None:
        """Write down that a meeting was refused for a reason; others are not kept, the preflight sees them itself."""
        if reason not in _HOLDS:
            return
        now = self._now()
        ends = now + _HOLDS[reason]
        async with self._engine.begin() as connection:
            await connection.execute(delete(graph_refusal).where(graph_refusal.c.ends_at <= now))
            statement = insert_for(connection)(graph_refusal).values(
                namespace=namespace, name=name, reason=reason.value, ends_at=ends
            )
            statement = statement.on_conflict_do_update(
                index_elements=["namespace", "name", "reason"], set_={"ends_at": ends}
            )
            await connection.execute(statement)

    async def clear(self, namespace: str, name: str) -> None:
        """Write down that a meeting was made."""
        if not await self.of(namespace, name):
            return  # as nearly always: a look is cheaper than a write
        mine = (graph_refusal.c.namespace == namespace) & (graph_refusal.c.name == name)
        async with self._engine.begin() as connection:
            await connection.execute(delete(graph_refusal).where(mine))
