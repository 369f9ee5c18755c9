"""Numbers of organisations from which texts do not arrive, as the provider's reports say: 4010 says not verified, or filtered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import number_trouble, send
from ehr_connector.store.send_state import State

_REPORTED_FOR = timedelta(days=2)
"""The provider tells what became of a text within 12 hours at the most."""


@dataclass(frozen=True, slots=True)
class NumberTrouble:
    """What is wrong with a number."""

    number: str
    code: int
    since: datetime
    seen_at: datetime
    """When the provider reported it last."""


class NumberTroubles:
    """The numbers in trouble. A text that arrives ends a number's trouble."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def of(self, namespace: str, name: str) -> Sequence[NumberTrouble]:
        """Return the numbers of an organisation that are in trouble."""
        query = (
            select(number_trouble)
            .where(number_trouble.c.namespace == namespace, number_trouble.c.name == name)
            .order_by(number_trouble.c.number)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [NumberTrouble(row.number, row.code, row.since, row.seen_at) for row in rows]

    async def note(self, namespace: str, name: str, number: str, code: int, at: datetime) -> None:
        """Write down that a text did not arrive because of its number, unless one that arrived is known to be later."""
        arrived = select(send.c.digest).where(
            send.c.namespace == namespace,
            send.c.name == name,
            send.c.first_sent_at > at - _REPORTED_FOR,
            send.c.sender == number,
            send.c.state == State.DELIVERED.value,
            send.c.reported_at >= at,
        )
        values = {"namespace": namespace, "name": name, "number": number}
        async with self._engine.begin() as connection:
            if (await connection.execute(arrived.limit(1))).one_or_none() is not None:
                return
            statement = insert_for(connection)(number_trouble).values(**values, code=code, since=at, seen_at=at)
            later = number_trouble.c.seen_at < at
            statement = statement.on_conflict_do_update(
                index_elements=[*values],
                set_={
                    "code": case((later, code), else_=number_trouble.c.code),
                    "since": case((number_trouble.c.since > at, at), else_=number_trouble.c.since),
                    "seen_at": case((later, at), else_=number_trouble.c.seen_at),
                },
            )
            await connection.execute(statement)

    async def clear(self, namespace: str, name: str, number: str, at: datetime) -> None:
        """Write down that a text from the number arrived at that time."""
        mine = (number_trouble.c.namespace == namespace) & (number_trouble.c.name == name)
        over = mine & (number_trouble.c.number == number) & (number_trouble.c.seen_at <= at)
        # Nearly every text arrives from a number that is in none: a look is cheaper than a write.
        async with self._reads.connect() as connection:
            if (await connection.execute(select(number_trouble.c.number).where(over))).one_or_none() is None:
                return
        async with self._engine.begin() as connection:
            await connection.execute(delete(number_trouble).where(over))
