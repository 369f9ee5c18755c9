"""Keeps what is sent from one number under the provider's rate, over all workers, and fair between endpoints.

A carrier that is sent more than a number may drops texts after they were accepted, so they would be lost unseen.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from ehr_connector.store.paces import Pace, Paces

_A_MINUTE = 60.0
_SHARE = 0.95
"""Of the provider's rate: the rest is for the burst."""
_TOLL_FREE, _SHORT_CODE, _ALPHANUMERIC = 200, 6_000, 600
"""Messages a minute. Source: Azure Communication Services, "Service limits", SMS; all but an alphanumeric sender's for each number."""
_LONGEST_SHORT_CODE = 6


def pace_of(sender: str) -> Pace:
    """Return the pace of a sender: in any 60 seconds no more than the provider allows.

    What is no short code and no name counts as toll-free, the slowest.
    """
    if not sender.removeprefix("+").isdecimal():
        allowed = _ALPHANUMERIC
    elif len(sender) <= _LONGEST_SHORT_CODE:
        allowed = _SHORT_CODE
    else:
        allowed = _TOLL_FREE
    steady = round(allowed * _SHARE)
    return Pace(timedelta(seconds=_A_MINUTE / steady), allowed - steady)


class Pacer:
    """Lets senders go on, one after the other."""

    def __init__(
        self,
        paces: Paces,
        name: Callable[[str], str],
        *,
        pace_of: Callable[[str], Pace] = pace_of,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`name` gives the name of a number's bucket, which must fit into 43 characters."""
        self._paces = paces
        self._name = name
        self._pace_of = pace_of
        self._sleep = sleep
        self._turns: dict[str, _Turns] = {}

    async def take(self, number: str, endpoint: str = "") -> None:
        """Return when one message may be sent from this number; who is cancelled while waiting has taken nothing.

        Endpoints take turns, however many messages each of them has waiting.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The database does not answer.
        """
        turns = self._turns.setdefault(number, _Turns())
        pace = self._pace_of(number)
        try:
            async with turns.mine(endpoint):
                while (wait := await self._paces.take(self._name(number), pace)) is not None:
                    await self._sleep(wait.total_seconds())
        finally:
            if turns.is_idle:
                self._turns.pop(number, None)


class _Turns:
    """A lock that goes round: from one endpoint to the next that waits, and first come, first served in each."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def is_idle(self) -> bool:
        return not self._held and not self._waiting

    @asynccontextmanager
    async def mine(self, endpoint: str) -> AsyncGenerator[None]:
        if self._held:
            await self._wait(endpoint)
        self._held = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, endpoint: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(endpoint, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was given to us at the same moment
            raise

    def _pass_on(self) -> None:
        """Give the lock to the next one; `_held` stays true on the way, so that nobody slips in between."""
        while self._waiting:
            endpoint, queue = next(iter(self._waiting.items()))
            turn = queue.popleft()
            if queue:
                self._waiting.move_to_end(endpoint)
            else:
                del self._waiting[endpoint]
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False
