"""Keeps what is sent from one number under the provider's rate, over all workers, and fair between endpoints.

A carrier that is sent more than a number may drops texts after they were accepted, so they would be lost unseen.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from ehr_connector.store.paces import Pace, Paces

_A_MINUTE = 60.0
_SHARE = 0.95
"""Of the provider's rate: the rest is for the burst."""
_TOLL_FREE, _SHORT_CODE, _ALPHANUMERIC = 200, 6_000, 600
"""Texts a minute. Source: Azure Communication Services, "Service limits", SMS; all but an alphanumeric sender's for each number."""
_LONGEST_SHORT_CODE = 6
_AN_HOUR = 3_600.0
_EMAILS, _EMAILS_OF_AZURES_DOMAIN = (30, 100), (5, 10)
"""E-mails a minute and an hour. Source: the same, Email, for the subscription, unless Microsoft grants more."""
_AZURES_DOMAIN = ".azurecomm.net"
_EMAILS_SHARE = 0.8
"""Of an hour's e-mails: the rest may come at once after a rest."""


def pace_of(sender: str) -> Sequence[Pace]:
    """Return the paces of a sender: in any minute, and any hour, no more than the provider allows.

    What is no e-mail address, no short code and no name counts as toll-free, the slowest.
    """
    if "@" in sender:
        a_minute, an_hour = _EMAILS_OF_AZURES_DOMAIN if sender.casefold().endswith(_AZURES_DOMAIN) else _EMAILS
        return _pace(a_minute, _A_MINUTE, _EMAILS_SHARE), _pace(an_hour, _AN_HOUR, _EMAILS_SHARE)
    if not sender.removeprefix("+").isdecimal():
        allowed = _ALPHANUMERIC
    elif len(sender) <= _LONGEST_SHORT_CODE:
        allowed = _SHORT_CODE
    else:
        allowed = _TOLL_FREE
    return (_pace(allowed, _A_MINUTE, _SHARE),)


def _pace(allowed: int, window_s: float, share: float) -> Pace:
    steady = round(allowed * share)
    return Pace(timedelta(seconds=window_s / steady), allowed - steady)


_PEOPLE = "somebody who waits"
_A_PAGE_S = 10.0
"""So long somebody waits for a page at the most."""


class Pacer:
    """Lets senders go on, one after the other."""

    def __init__(
        self,
        paces: Paces,
        name: Callable[[str], str],
        *,
        pace_of: Callable[[str], Sequence[Pace]] = pace_of,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        page_s: float = _A_PAGE_S,
    ) -> None:
        """`name` gives the name of a sender's bucket, which must fit into 43 characters."""
        self._paces = paces
        self._name = name
        self._pace_of = pace_of
        self._sleep = sleep
        self._page_s = page_s
        self._turns: dict[str, _Turns] = {}

    async def take(self, sender: str, endpoint: str = "", *, first: bool = False) -> None:
        """Return when one message may be sent from this sender; who is cancelled while waiting has taken nothing.

        Endpoints take turns, however many messages each of them has waiting; `first` goes before all of them.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The database does not answer.
        """
        turns = self._turns.setdefault(sender, _Turns())
        try:
            async with turns.mine(endpoint, first=first):
                for bucket, pace in self._buckets(sender):
                    while (wait := await self._paces.take(bucket, pace)) is not None:
                        await self._sleep(wait.total_seconds())
        finally:
            if turns.is_idle:
                self._turns.pop(sender, None)

    async def take_soon(self, sender: str) -> bool:
        """Return whether one message may be sent from this sender, after a wait as long as a person waits for a page."""
        try:
            async with asyncio.timeout(self._page_s):
                await self.take(sender, _PEOPLE, first=True)
        except TimeoutError:
            return False
        return True

    async def spare(self, sender: str) -> timedelta | None:
        """Take a turn if one can be had at once and return None, or return how long to wait before the next try."""
        for bucket, pace in self._buckets(sender):
            wait = await self._paces.take(bucket, pace)
            if wait is not None:
                return wait
        return None

    def _buckets(self, sender: str) -> Iterator[tuple[str, Pace]]:
        for number, pace in enumerate(self._pace_of(sender)):
            yield self._name(f"{sender} {number}" if number else sender), pace


class _Turns:
    """A lock that goes round: from one endpoint to the next that waits, and first come, first served in each."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def is_idle(self) -> bool:
        return not self._held and not self._waiting

    @asynccontextmanager
    async def mine(self, endpoint: str, *, first: bool = False) -> AsyncGenerator[None]:
        if self._held:
            await self._wait(endpoint, first=first)
        self._held = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, endpoint: str, *, first: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(endpoint, deque()).append(turn)
        if first:
            self._waiting.move_to_end(endpoint, last=False)
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
