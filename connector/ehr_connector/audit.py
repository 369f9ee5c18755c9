"""Who did what: rows that are only added, each chained to the one before, so that a change behind our back shows.

The chain is not keyed: who may write the whole table can make a new one. The log of the program therefore names each row's
number and digest, and `verify` compares with one that was noted elsewhere.

Actors and objects are opaque: a keyed name of the EHR user, a visit's name, a resource of the configuration.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Row, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_api.digest import digest_of
from ehr_connector.store.database import reading
from ehr_connector.store.schema import audit_event
from ehr_connector.store.single_use import SingleUse

_log = logging.getLogger(__name__)

_LOCK = 0x45484155
"""Key of the advisory lock under which PostgreSQL adds one row after the other."""
_OBJECT_MAX = 256
_PAGE = 1000
_ONCE = timedelta(days=30)
FIRST = "sha256:" + "0" * 64
"""What the first row is chained to."""


class Action(StrEnum):
    """What was done."""

    CONFIGURED = "configured"
    DECONFIGURED = "deconfigured"
    ACKNOWLEDGED = "acknowledged"
    """Somebody gave both consents to text messages; the row has their digest, the name stands in the configuration."""
    PROMOTION_FORCED = "promotion_forced"
    """An endpoint serves Production without evidence; the reason stands in the cluster."""
    LAUNCHED = "launched"
    SIGNED_IN = "signed_in"
    JOINED = "joined"
    CONSULTED = "consulted"
    SENT = "sent"
    GUEST_LINK_MADE = "guest_link_made"
    GUEST_LINK_REVOKED = "guest_link_revoked"
    PATIENT_JOINED = "patient_joined"
    ERASED = "erased"
    EXPIRED = "expired"
    """The oldest rows of this log were removed, since they had been kept for long enough."""
    REPORTS_SIGNED_IN = "reports_signed_in"


class Outcome(StrEnum):
    """How it ended, and where there are several ways, by which."""

    SUCCESS = "success"
    PROVIDER = "provider"
    """A launch by a clinician."""
    PATIENT = "patient"
    """A launch by a patient."""
    SMS = "sms"
    """A link went by text message; the next two likewise."""
    EMAIL = "email"
    COPY = "copy"
    NOTHING = "nothing"
    """There was nothing to be done."""
    REFUSED = "refused"
    """By us: it may not be done."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One row."""

    number: int
    happened_at: datetime
    namespace: str
    name: str
    action: str
    outcome: str
    actor: str
    object: str
    previous: str
    digest: str

    def expected_digest(self) -> str:
        """Return the digest that the row must have."""
        content = asdict(self)
        del content["digest"]
        return digest_of(content | {"happened_at": self.happened_at.isoformat(timespec="microseconds")})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain holds."""

    rows: int
    """How many are there."""
    broken_at: int | None = None
    """Number of the first row that does not fit."""
    newest: str = f"0:{FIRST}"
    """Number and digest of the newest row: who knows them notices when later rows than these are cut off."""


class Audit:
    """The chain."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def record(
        self, namespace: str, name: str, action: Action, actor: str, target: str, outcome: Outcome = Outcome.SUCCESS
    ) -> None:
        """Add a row."""
        async with self._engine.begin() as connection:
            event = await self.record_in(connection, namespace, name, action, actor, target, outcome)
        tell(event)

    async def record_once(self, token: str, namespace: str, name: str, action: Action, actor: str, target: str) -> None:
        """Add a row, unless one was added for this token (a keyed digest) in the last days."""
        async with self._engine.begin() as connection:
            if not await SingleUse(self._engine, self._now).claim_in(connection, token, self._now() + _ONCE):
                return
            event = await self.record_in(connection, namespace, name, action, actor, target)
        tell(event)

    async def record_in(
        self,
        connection: AsyncConnection,
        namespace: str,
        name: str,
        action: Action,
        actor: str,
        target: str,
        outcome: Outcome = Outcome.SUCCESS,
    ) -> AuditEvent:
        """Add a row in the transaction that does what it is about: neither is without the other.

        The caller does this last in the transaction, for others wait until it ends, and calls `tell` after it.
        """
        await _one_at_a_time(connection)
        newest = select(audit_event.c.number, audit_event.c.digest).order_by(audit_event.c.number.desc()).limit(1)
        last = (await connection.execute(newest)).one_or_none()
        event = AuditEvent(
            number=last.number + 1 if last else 1,
            happened_at=self._now(),
            namespace=namespace,
            name=name,
            action=action.value,
            outcome=outcome.value,
            actor=actor,
            object=target[:_OBJECT_MAX],
            previous=last.digest if last else FIRST,
            digest="",
        )
        event = replace(event, digest=event.expected_digest())
        await connection.execute(insert(audit_event).values(**asdict(event)))
        return event

    async def verify(self, known: str | None = None) -> Verdict:
        """Follow the chain from its beginning; `known` is `newest` of an earlier verdict, which must still be there.

        The oldest rows may be gone, when a row that is there says so (`ehr_connector.audit_expiry`).
        """
        rows, last, previous = 0, 0, FIRST
        first = 1
        cut: str | None = None
        met = known in {None, f"0:{FIRST}"}
        async for event in self.events():
            if rows == 0 and event.number > 1:
                first, last, previous = event.number, event.number - 1, event.previous
                cut = cut_after(last, previous)
                met = met or _number(known) <= last
            fits = event.number == last + 1 and event.previous == previous
            if not fits or event.digest != event.expected_digest():
                return Verdict(rows, event.number, f"{last}:{previous}")
            if event.action == Action.EXPIRED and event.object == cut:
                cut = None
            rows, last, previous = rows + 1, event.number, event.digest
            met = met or f"{last}:{previous}" == known
        newest = f"{last}:{previous}"
        if cut is not None:
            return Verdict(rows, first, newest)
        return Verdict(rows, None if met else last + 1, newest)

    async def events(self) -> AsyncIterator[AuditEvent]:
        """Give every row, the oldest first, in flat memory and short transactions."""
        last: int | None = None
        while True:
            page = select(audit_event).order_by(audit_event.c.number).limit(_PAGE)
            async with self._reads.connect() as connection:
                query = page if last is None else page.where(audit_event.c.number > last)
                rows = (await connection.execute(query)).all()
            for row in rows:
                yield _event(row)
            if len(rows) < _PAGE:
                return
            last = rows[-1].number


def cut_after(number: int, digest: str) -> str:
    """Return what a row says of which the object is the removal of all rows up to this one."""
    return f"audit rows to {number}:{digest}"


def _number(known: str | None) -> int:
    number = (known or "").partition(":")[0]
    return int(number) if number.isdecimal() else 0


def tell(event: AuditEvent) -> None:
    """Log a row that is committed: whoever collects the logs holds a copy of the chain that cannot be changed from here."""
    _log.info("audit %d:%s", event.number, event.digest)


async def _one_at_a_time(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":  # in SQLite the transaction began as the only writer
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _event(row: Row[tuple[object, ...]]) -> AuditEvent:
    return AuditEvent(**{name: getattr(row, name) for name in AuditEvent.__dataclass_fields__})
