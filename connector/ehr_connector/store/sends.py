"""Messages, each claimed before it is sent: whoever inserts the row has it, in every replica.

A claim carries the id and the time under which the provider takes the message once. A claim that a dead process left is
taken over with both, so that what that process may have sent is not sent again. Until it is addressed, nothing was sent
under it, and it begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Row, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.notices import Notice, put_notices
from ehr_connector.store.opt_outs import OptOuts
from ehr_connector.store.schema import send
from ehr_connector.store.send_state import State

_HELD = timedelta(seconds=60)
"""How long a claim is another's: longer than reading the patient and one call to the provider take together."""
_CLOCKS_DIFFER = timedelta(minutes=10)
"""Clocks of replicas differ by less; a claim that is held for longer is of a clock that jumped, and is anybody's."""
RECIPIENT_KEPT = timedelta(days=8)
"""The longest window of a cap, and a day."""


_ENDED = tuple(state.value for state in State if state is not State.CLAIMED)


@dataclass(frozen=True, slots=True)
class Message:
    """What a message is about."""

    digest: str
    visit: str
    namespace: str
    name: str
    endpoint: str
    occasion: str
    channel: str
    request_id: UUID | None = None
    """Under which the provider takes it once; a random one unless the same message must get the same one for ever."""
    about: str | None = None
    """What a confirmation says, by keyed digest."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send a message."""

    digest: str
    holder: str
    request_id: UUID
    first_sent_at: datetime
    about: str | None = None
    sender: str | None = None
    """From where it may have gone out before; then it goes out from there again, or not at all."""
    channel: str = ""
    is_addressed: bool = False
    """It may have gone out before."""


class Sends:
    """The messages, and who wants none."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now
        self._opt_outs = OptOuts(engine, now)

    async def ended(self, visit: str, occasion: str, channel: str) -> int:
        """Return how many messages of a kind have ended, sent or not."""
        query = select(func.count()).where(
            send.c.visit == visit,
            send.c.occasion == occasion,
            send.c.channel == channel,
            send.c.state.in_(_ENDED),
        )
        async with self._reads.connect() as connection:
            return (await connection.execute(query)).scalar_one()

    async def claim(self, message: Message) -> Claim | None:
        """Return the right to send a message, or None when another one has it or it has ended."""
        now, holder = self._now(), uuid4().hex
        values = {
            "digest": message.digest,
            "visit": message.visit,
            "namespace": message.namespace,
            "name": message.name,
            "endpoint": message.endpoint,
            "occasion": message.occasion,
            "channel": message.channel,
            "request_id": str(message.request_id or uuid4()),
            # To the second: that is how the provider is told, and a repetition must say the same.
            "first_sent_at": now.replace(microsecond=0),
            "state": State.CLAIMED.value,
            "holder": holder,
            "held_until": now + _HELD,
            "about": message.about,
        }
        untouched = send.c.recipient.is_(None) & send.c.sender.is_(None)
        begun_anew = {
            name: case((untouched, values[name]), else_=send.c[name])
            for name in ("first_sent_at", "about", "occasion", "channel")
        }
        # Without a holder it is to be tried again after a while, which may be long.
        jumped = (send.c.held_until > now + _HELD + _CLOCKS_DIFFER) & (send.c.holder != "")
        free = (send.c.held_until <= now) | jumped
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(send).values(**values)
            statement = statement.on_conflict_do_update(
                index_elements=["digest"],
                set_={"holder": holder, "held_until": now + _HELD, **begun_anew},
                where=(send.c.state == State.CLAIMED.value) & free,
            ).returning(*_OF_A_CLAIM)
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else _claim(row)

    async def address(
        self, claim: Claim, recipient: str, sender: str | None = None, channel: str | None = None
    ) -> bool:
        """Note whom it goes to, by keyed digest, and return whether the claim still holds: the last step before the call."""
        more = {} if channel is None else {"channel": channel}
        return await self._update(claim, recipient=recipient, sender=sender, held_until=self._now() + _HELD, **more)

    async def release(self, claim: Claim, *, untouched: bool = False) -> None:
        """Let anybody take the message up again, under the same id: it may have been sent, unless it is `untouched`."""
        more = {"recipient": None, "sender": None} if untouched else {}
        await self._update(claim, held_until=self._now(), **more)

    async def end(
        self,
        claim: Claim,
        state: State,
        *,
        reason: str | None = None,
        message_id: str | None = None,
        notice: Notice | None = None,
    ) -> None:
        """Write down how it ended, and in the same moment what the patient now knows."""
        ended = {"state": state.value, "reason": reason, "message_id": message_id}
        async with self._engine.begin() as connection:
            held = (send.c.digest == claim.digest) & (send.c.holder == claim.holder)
            statement = update(send).where(held, send.c.state == State.CLAIMED.value).values(**ended)
            if (await connection.execute(statement)).rowcount == 1 and notice is not None:
                await put_notices(connection, [notice], self._now())

    async def sent_to(self, recipient: str, *since: datetime, besides: str = "") -> Sequence[int]:
        """Return how many messages one recipient got since each moment, those that are perhaps on their way among them.

        The message whose digest is `besides` is not counted.
        """
        counts = [func.coalesce(func.sum(case((send.c.first_sent_at > one, 1), else_=0)), 0) for one in since]
        query = select(*counts).where(
            send.c.recipient == recipient,
            send.c.first_sent_at > min(since),
            send.c.state != State.NOT_SENT.value,
            send.c.digest != besides,
        )
        async with self._reads.connect() as connection:
            return [int(count) for count in (await connection.execute(query)).one()]

    async def forget_recipients(self) -> None:
        """Forget whom old messages went to."""
        old = (send.c.recipient.is_not(None)) & (send.c.first_sent_at < self._now() - RECIPIENT_KEPT)
        async with self._engine.begin() as connection:
            await connection.execute(update(send).where(old).values(recipient=None))

    async def is_opted_out(self, recipient: str) -> bool:
        """Return whether a recipient wants no messages of the organisation."""
        return await self._opt_outs.holds(recipient)

    async def _update(self, claim: Claim, **values: object) -> bool:
        held = (send.c.digest == claim.digest) & (send.c.holder == claim.holder)
        statement = update(send).where(held, send.c.state == State.CLAIMED.value).values(**values)
        async with self._engine.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1


_OF_A_CLAIM = tuple(
    send.c[name]
    for name in ("digest", "holder", "request_id", "first_sent_at", "about", "sender", "channel", "recipient")
)


def _claim(row: Row[tuple[object, ...]]) -> Claim:
    return Claim(
        digest=row.digest,
        holder=row.holder,
        request_id=UUID(row.request_id),
        first_sent_at=row.first_sent_at,
        about=row.about,
        sender=row.sender,
        channel=row.channel,
        is_addressed=row.recipient is not None or row.sender is not None,
    )
