"""What patients of coming visits know of their times, by keyed digest, and when coming visits were last read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.notify.planner.plan import Reading
from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import notice, notice_reading, send
from ehr_connector.store.send_state import State

_A_STATEMENT = 200
_TRIED_FOR = timedelta(days=2)
KEPT = timedelta(days=400)
"""Longer than any visit is booked ahead."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the patient of a visit knows now."""

    visit: str
    namespace: str
    name: str
    endpoint: str
    about: str
    """Keyed digest of the visit's time, or of its cancellation."""
    number: int
    """How often what the patient knows changed: the first is 1."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is written down of a visit."""

    about: str | None = None
    number: int = 0
    since: datetime | None = None
    reminded: frozenset[str] = frozenset()
    """Digests of the reminders that have ended."""
    perhaps: str | None = None
    """What a confirmation says that may have gone out and has not ended."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message that did not arrive and may be tried once more."""

    visit: str
    digest: str
    occasion: str
    about: str | None


class Notices:
    """What patients know."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def known(self, visits: Sequence[str], reminders: Collection[str]) -> Mapping[str, Known]:
        """Return what is written down of visits; `reminders` are the occasions that are no confirmations."""
        found: dict[str, Known] = {}
        for first in range(0, len(visits), _A_STATEMENT):
            found |= await self._known(visits[first : first + _A_STATEMENT], reminders)
        return found

    async def note(self, notices: Sequence[Notice]) -> None:
        """Write down what patients know without a message; a newer one that stands there stays."""
        for first in range(0, len(notices), _A_STATEMENT):
            async with self._engine.begin() as connection:
                await put_notices(connection, notices[first : first + _A_STATEMENT], self._now())

    async def give_up(self, digest: str, notice_of_it: Notice) -> bool:
        """End a message that may have gone out, and take it that the patient has it, unless somebody is at it."""
        now = self._now()
        left = (send.c.digest == digest) & (send.c.state == State.CLAIMED.value) & (send.c.held_until <= now)
        async with self._engine.begin() as connection:
            statement = update(send).where(left).values(state=State.UNKNOWN.value, reason="overtaken")
            if (await connection.execute(statement)).rowcount != 1:
                return False
            await put_notices(connection, [notice_of_it], now)
        return True

    async def undelivered(self, namespace: str, name: str, endpoint: str) -> Sequence[Undelivered]:
        """Return the messages of an endpoint that were opened again, and whose time has come."""
        of_it = (send.c.namespace == namespace) & (send.c.name == name) & (send.c.endpoint == endpoint)
        untouched = send.c.recipient.is_(None) & send.c.sender.is_(None)
        query = select(send.c.visit, send.c.digest, send.c.occasion, send.c.about).where(
            of_it,
            send.c.first_sent_at > self._now() - _TRIED_FOR,
            send.c.state == State.CLAIMED.value,
            send.c.attempts > 1,
            untouched,
            send.c.held_until <= self._now(),
        )
        async with self._reads.connect() as connection:
            return [Undelivered(*row) for row in await connection.execute(query)]

    async def reading(self, name: str) -> Reading | None:
        """Return when coming visits were last read whole."""
        query = select(notice_reading).where(notice_reading.c.reading == name)
        async with self._reads.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Reading(row.read_at, row.covered_until)

    async def put_reading(self, name: str, done: Reading) -> None:
        """Write that down."""
        values = {"read_at": done.read_at, "covered_until": done.covered_until}
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(notice_reading).values(reading=name, **values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["reading"], set_=values))

    async def forget_old(self) -> None:
        """Forget what patients of long past visits knew."""
        old = self._now() - KEPT
        async with self._engine.begin() as connection:
            await connection.execute(delete(notice).where(notice.c.noted_at < old))
            await connection.execute(delete(notice_reading).where(notice_reading.c.read_at < old))

    async def _known(self, visits: Sequence[str], reminders: Collection[str]) -> Mapping[str, Known]:
        noted = select(notice).where(notice.c.visit.in_(visits))
        query = select(send.c.digest, send.c.visit, send.c.occasion, send.c.state, send.c.about, send.c.sender)
        async with self._reads.connect() as connection:
            notices = {row.visit: row for row in await connection.execute(noted)}
            sends = (await connection.execute(query.where(send.c.visit.in_(visits)))).all()
        reminded: defaultdict[str, set[str]] = defaultdict(set)
        perhaps: dict[str, str] = {}
        for row in sends:
            if row.occasion in reminders and row.state != State.CLAIMED:
                reminded[row.visit].add(row.digest)
            elif row.state == State.CLAIMED and row.about is not None and row.sender is not None:
                perhaps[row.visit] = row.about
        found: dict[str, Known] = {}
        for visit in notices.keys() | reminded.keys() | perhaps.keys():
            row = notices.get(visit)
            found[visit] = Known(
                about=row.about if row else None,
                number=row.number if row else 0,
                since=row.noted_at if row else None,
                reminded=frozenset(reminded[visit]),
                perhaps=perhaps.get(visit),
            )
        return found


async def put_notices(connection: AsyncConnection, notices: Sequence[Notice], now: datetime) -> None:
    """Write down what the patients of visits know; a newer one that stands there stays."""
    statement = insert_for(connection)(notice)
    newer = {name: statement.excluded[name] for name in ("about", "number", "noted_at")}
    statement = statement.on_conflict_do_update(
        index_elements=["visit"], set_=newer, where=notice.c.number < statement.excluded.number
    )
    # In one order for all processes, so that two of them wait for each other and do not deadlock.
    in_order = sorted(notices, key=lambda one: one.visit)
    await connection.execute(statement, [{**asdict(one), "noted_at": now} for one in in_order])
