"""What the provider reports of messages. Reports come more than once, late and out of order, and never undo a later one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_connector.store.database import reading
from ehr_connector.store.schema import send
from ehr_connector.store.send_state import State

_TAKEN_UP = timedelta(days=1)
"""Within this time a message that was opened again is claimed, if at all."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a message that the provider took."""

    message_id: str
    state: State
    """`DELIVERED` or `FAILED`."""
    reason: str
    at: datetime
    tag: str | None = None
    """Digest of the message, as it was given when it was sent."""


class News(StrEnum):
    """What a report tells of a message."""

    NEW = "new"
    OLD = "old"
    """It is known, or of an earlier try."""
    EARLY = "early"
    """The message is still being sent: the report is to be looked at again later."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The message that a report is about."""

    digest: str
    namespace: str
    name: str
    occasion: str
    channel: str
    recipient: str | None
    attempts: int


class Deliveries:
    """The reports."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def check(self) -> None:
        """Make sure that the database answers."""
        async with self._reads.connect() as connection:
            await connection.execute(select(1))

    async def find(self, report: Report) -> Reported | None:
        """Return the message that a report is about, or None when it is none of ours."""
        async with self._reads.connect() as connection:
            row = await _row(connection, report)
        if row is None:
            return None
        return Reported(
            digest=row.digest,
            namespace=row.namespace,
            name=row.name,
            occasion=row.occasion,
            channel=row.channel,
            recipient=row.recipient,
            attempts=row.attempts,
        )

    async def write(self, report: Report, again_after: timedelta | None = None) -> News:
        """Write a report down.

        With `again_after` the message is open again after that time, under a new id, for whoever claims it.
        """
        async with self._engine.begin() as connection:
            row = await _row(connection, report, lock=True)
            news = News.OLD if row is None else _news(row, report)
            if row is None or news is not News.NEW:
                return news
            values: dict[str, Any] = {
                "state": report.state.value,
                "reason": report.reason,
                "message_id": report.message_id,
                "reported_at": report.at,
            }
            if again_after is not None and row.state == State.ACCEPTED:
                values |= self._open_again(row.attempts, again_after)
            await connection.execute(update(send).where(send.c.digest == row.digest).values(**values))
        return news

    async def give_up_tries(self) -> None:
        """End messages that were opened again and that nobody has taken up: their visits are over, or moved."""
        nobody = send.c.recipient.is_(None) & send.c.sender.is_(None) & (send.c.attempts > 1)
        left = nobody & (send.c.state == State.CLAIMED.value) & (send.c.held_until < self._now() - _TAKEN_UP)
        async with self._engine.begin() as connection:
            await connection.execute(update(send).where(left).values(state=State.FAILED.value))

    def _open_again(self, attempts: int, after: timedelta) -> dict[str, Any]:
        """Return what makes a message one that was claimed and never addressed; its last id tells late reports."""
        return {
            "state": State.CLAIMED.value,
            "request_id": str(uuid4()),
            "attempts": attempts + 1,
            "recipient": None,
            "sender": None,
            "holder": "",
            "held_until": self._now() + after,
        }


async def _row(connection: AsyncConnection, report: Report, *, lock: bool = False) -> Row[Any] | None:
    """Return the message by the provider's id; by what was given with it where the answer with the id was lost."""
    query = select(send).where(
        or_(
            send.c.message_id == report.message_id,
            send.c.request_id == report.message_id,
            send.c.digest == (report.tag or ""),
        )
    )
    rows = (await connection.execute(query.with_for_update() if lock else query)).all()
    return next((row for row in rows if row.message_id == report.message_id), rows[0] if rows else None)


def _news(row: Row[Any], report: Report) -> News:
    # None: the provider said that it has the message, and not under which id.
    is_same_try = row.message_id == report.message_id or (row.state == State.ACCEPTED and row.message_id is None)
    if row.reported_at is not None and report.at < row.reported_at:
        return News.OLD
    match row.state:
        case State.ACCEPTED if is_same_try:
            return News.NEW
        case State.FAILED if is_same_try and report.state is State.DELIVERED:
            return News.NEW  # it arrived after all
        case State.UNKNOWN:
            return News.NEW
        case State.CLAIMED if not is_same_try:
            # Whoever sends it has not written down yet that the provider took it, or did not learn it and asks again.
            return News.EARLY
        case _:
            return News.OLD
