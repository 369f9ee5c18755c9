"""Which messages wait, and why: told by each worker for its endpoints, read by whoever serves the control API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import held_message

Endpoint = tuple[str, str, str]
"""Namespace, name of the organisation, name of the endpoint."""
FRESH = timedelta(seconds=150)
"""What is older was told by a worker that is gone, or works for the endpoint no more."""
_AGAIN = timedelta(seconds=60)
"""What did not change is told again after this time, so that it stays fresh though one telling fails."""
_A_STATEMENT = 100
_ENDPOINT = tuple_(held_message.c.namespace, held_message.c.name, held_message.c.endpoint)


@dataclass(frozen=True, slots=True)
class _Told:
    reasons: Mapping[str, int]
    at: datetime


class HeldMessages:
    """The counts in the database; one object for each process, which knows what this process told last."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now
        self._told: dict[Endpoint, _Told] = {}

    async def tell(self, held: Mapping[Endpoint, Mapping[str, int]]) -> None:
        """Write down what waits at the endpoints of this process, and forget what is old; little is written when little changed."""
        now = self._now()
        waits = {endpoint: dict(reasons) for endpoint, reasons in held.items() if reasons}
        news = [
            endpoint
            for endpoint, reasons in waits.items()
            if (told := self._told.get(endpoint)) is None or told.reasons != reasons or told.at <= now - _AGAIN
        ]
        over = [endpoint for endpoint in self._told if endpoint not in waits]
        async with self._engine.begin() as connection:
            await connection.execute(delete(held_message).where(held_message.c.told_at < now - FRESH))
            for endpoint in over:
                # What another worker told of it since then stays.
                mine = _ENDPOINT.in_([endpoint]) & (held_message.c.told_at <= self._told[endpoint].at)
                await connection.execute(delete(held_message).where(mine))
            for first in range(0, len(news), _A_STATEMENT):
                # In one order for all workers, so that two of them wait for each other and do not deadlock.
                some = sorted(news)[first : first + _A_STATEMENT]
                await _replace(connection, {endpoint: waits[endpoint] for endpoint in some}, now)
        for endpoint in over:
            del self._told[endpoint]
        self._told.update({endpoint: _Told(waits[endpoint], now) for endpoint in news})

    async def of(self, namespace: str, name: str) -> Mapping[str, int]:
        """Return how many messages of an organisation wait, by reason in alphabetical order."""
        query = (
            select(held_message.c.reason, func.sum(held_message.c.messages).label("messages"))
            .where(held_message.c.namespace == namespace, held_message.c.name == name)
            .where(held_message.c.told_at >= self._now() - FRESH)
            .group_by(held_message.c.reason)
            .order_by(held_message.c.reason)
        )
        async with self._reads.connect() as connection:
            return {row.reason: int(row.messages) for row in await connection.execute(query)}


async def _replace(connection: AsyncConnection, waits: Mapping[Endpoint, Mapping[str, int]], now: datetime) -> None:
    await connection.execute(delete(held_message).where(_ENDPOINT.in_(list(waits))))
    rows: Sequence[dict[str, object]] = [
        {
            "namespace": namespace,
            "name": name,
            "endpoint": endpoint,
            "reason": reason,
            "messages": messages,
            "told_at": now,
        }
        for (namespace, name, endpoint), reasons in waits.items()
        for reason, messages in sorted(reasons.items())
    ]
    statement = insert_for(connection)(held_message).values(rows)
    # A lease that just passed on has two workers telling of one endpoint.
    newest = {"messages": statement.excluded.messages, "told_at": statement.excluded.told_at}
    keys = ["namespace", "name", "endpoint", "reason"]
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=newest))
