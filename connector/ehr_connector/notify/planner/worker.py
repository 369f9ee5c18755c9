"""One endpoint's messages: what the plan says is due goes out, at the pace of its number, and what waits is counted.

It works on the coming visits that are in memory. What was sent and what patients know is in the database, so that whoever
holds the endpoint's lease goes on where another ended: what fell due meanwhile is sent while it makes sense.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.directory import Site
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.decision import Reason
from ehr_connector.notify.planner.due import DueVisits
from ehr_connector.notify.planner.knowledge import Knowledge
from ehr_connector.notify.planner.plan import FORGIVEN, Due, Plan, Reading, Wishes, is_new, plan, wishes_of
from ehr_connector.notify.planner.planned import DueMessage, PlannedSender, Result, is_for_now
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.store.notices import Notice, Notices, Undelivered
from ehr_connector.visits.booking import Booking, booking
from ehr_connector.visits.events import Channel
from ehr_connector.waking import awakened

_log = logging.getLogger(__name__)

_SENDERS = 4
"""Messages of one endpoint that are under way at once: each reads a patient, and no rate limit is published."""
_SENDING, _DOUBTFUL = 32, 8
_LOOK_S = 30.0
"""Nobody sleeps longer than this, so that a clock that jumps is noticed."""
_SET_UP_AGAIN = timedelta(seconds=60)
_CAPPED_AGAIN = timedelta(hours=1)
_BUSY_AGAIN = timedelta(seconds=15)
_FAILED_AGAIN = timedelta(seconds=5)
_BROKEN_AGAIN = timedelta(minutes=10)
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_BREATH = 100
_WRITTEN_EVERY = timedelta(minutes=10)
_OF_THE_DAY = frozenset({Reason.OVER_DAILY_CAP.value, Reason.OVER_WEEKLY_CAP.value})


@dataclass(frozen=True, slots=True)
class NoticeTools:
    """What every endpoint's messages need."""

    sender: PlannedSender
    notices: Notices
    take: Callable[[str, str], Awaitable[None]]
    """Waits until a message may go out from a number, for an endpoint."""
    secret: SecretKeys
    now: Callable[[], datetime]
    _sound: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SENDING))
    _doubtful: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_DOUBTFUL))

    def sending(self, *, doubtful: bool) -> AbstractAsyncContextManager[None]:
        """Hold a place among those that send; endpoints that failed last wait for each other and not for the sound ones."""
        return self._doubtful if doubtful else self._sound


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What was read: all that begins before `until`, or some that lies behind what is kept in memory."""

    bookings: Mapping[str, Booking]
    until: datetime
    is_far: bool


class EndpointNotices:
    """The messages of one endpoint."""

    def __init__(self, site: Site, tools: NoticeTools) -> None:
        self.site = site
        self._tools = tools
        self._knowledge = Knowledge(tools.notices, tools.secret)
        self._bookings: Mapping[str, Booking] = {}
        self._far: dict[str, Booking] = {}
        """Visits beyond those that are kept in memory, while a message of theirs is due."""
        self._new: dict[str, datetime] = {}
        """When visits were first seen that were booked just then."""
        self._queue = DueVisits()
        self._under_way: set[str] = set()
        self._undelivered: dict[str, Undelivered] = {}
        """Confirmations that did not arrive, by visit."""
        self._since: dict[str, datetime] = {}
        """Since when messages are due that could go out."""
        self._held: dict[str, str] = {}
        self._reads: list[_Read] = []
        self._was_read, self._wake = asyncio.Event(), asyncio.Event()
        self._troubles = 0

    def reconfigured(self, site: Site) -> None:
        """Go by another configuration from now on."""
        self.site = site
        for visit in self._held.keys() - self._under_way:
            self._queue.put(visit, self._tools.now())
        self._wake.set()

    def read(self, bookings: Mapping[str, Booking], until: datetime, *, far: bool = False) -> None:
        """Take the visits that were read: all that begin before `until`; or, with `far`, some that lie behind those."""
        if not far:
            self._reads = [one for one in self._reads if one.is_far]
            self._bookings = bookings
        self._reads.append(_Read(bookings, until, far))
        self._was_read.set()

    def are_wanted(self) -> bool:
        """Return whether the organisation wants any."""
        return self._wishes().channel is not None

    def held(self) -> Mapping[str, int]:
        """Return how many messages wait, by reason."""
        return Counter(self._held.values())

    def oldest_due_s(self) -> float:
        """Return for how long the oldest message is due that could go out."""
        now = self._tools.now()
        return max((now - min(self._since.values(), default=now)).total_seconds(), 0.0)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_settling(), name="plan messages")
            tasks.create_task(self._keep_sending(), name="send messages")

    async def settle(self) -> None:
        """Learn what patients know of the visits that were read, note what is not to be said, and see what is due when.

        Raises:
            SQLAlchemyError, OSError: The database does not answer; the same is settled the next time.
        """
        read, now, wishes = self._reads[0], self._tools.now(), self._wishes()
        bookings = dict(read.bookings)
        await self._knowledge.load(bookings)
        name = self._reading_name()
        before = await self._tools.notices.reading(name)
        noted: list[Notice] = []
        for number, (visit, found) in enumerate(bookings.items()):
            nothing, begun = self._knowledge.is_nothing(visit), self._knowledge.is_begun(visit)
            if begun or (nothing and is_new(found, before, now)):
                self._new.setdefault(visit, now)
            made = self._plan(visit, found, wishes)
            if made.note and self._knowledge.perhaps(visit, found) is None:
                noted.append(self._knowledge.notice(visit, found))
            elif visit not in self._under_way:
                self._schedule(visit, found, made, read)
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
        await self._tools.notices.note(noted)
        for one in noted:
            self._knowledge.learn(one, now)
            self._queue.put(one.visit, now)
        await self._take_up_undelivered()
        if self._is_sending(bookings):
            await self._write_reading(name, before, Reading(now, read.until))
        self._reads = [one for one in self._reads if one is not read]
        self._forget_others()
        self._wake.set()

    async def attend(self) -> bool:
        """Do what is to be done for the visit that is due for longest; return whether there was one and no trouble."""
        visit = self._queue.take(self._tools.now())
        if visit is None:
            return False
        self._under_way.add(visit)
        site = self.site
        try:
            again = await self._attend(visit)
        except (SQLAlchemyError, OSError) as exc:
            _log.warning("messages: the database does not answer (%s)", type(exc).__name__)
            self._knowledge.doubt(visit)
            self._troubles += 1
            again = self._tools.now() + _FAILED_AGAIN
        except Exception:  # noqa: BLE001 (a fault of one visit ends no other's messages)
            _log.exception("a message of %s/%s failed", self.site.namespace, self.site.endpoint.name)
            again = self._tools.now() + _BROKEN_AGAIN
        finally:
            self._under_way.discard(visit)
        if again is not None:
            # What was found against it may have been of the configuration before.
            self._queue.put(visit, again if site is self.site else self._tools.now())
        return self._troubles == 0

    async def _keep_settling(self) -> None:
        while True:
            await self._was_read.wait()
            self._was_read.clear()
            while self._reads:
                try:
                    await self.settle()
                except (SQLAlchemyError, OSError) as exc:
                    _log.warning("messages: the database does not answer (%s)", type(exc).__name__)
                    await asyncio.sleep(_FAILED_AGAIN.total_seconds())

    async def _keep_sending(self) -> None:
        while True:
            self._wake.clear()
            next_at, now = self._queue.next_at(), self._tools.now()
            if next_at is None or next_at > now:
                pause_s = _LOOK_S if next_at is None else min((next_at - now).total_seconds(), _LOOK_S)
                await awakened(self._wake, pause_s)
                continue
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_SENDERS):
                    tasks.create_task(self._keep_attending(), name="send a message")
            if self._troubles:
                await asyncio.sleep(min(_PAUSE_S * 2 ** min(self._troubles, 8), _LONGEST_PAUSE_S))

    async def _keep_attending(self) -> None:
        while await self.attend():
            pass

    def _schedule(self, visit: str, found: Booking, made: Plan, read: _Read) -> None:
        now = self._tools.now()
        is_at_once = made.due is not None or made.note or self._knowledge.perhaps(visit, found) is not None
        if read.is_far and (is_at_once or made.quiet):
            self._far[visit] = found
        if self._held.get(visit) in _OF_THE_DAY and is_at_once:
            return
        if made.quiet:
            self._since.pop(visit, None)
            self._held[visit] = Reason.QUIET_HOURS.value
        elif self._held.get(visit) == Reason.QUIET_HOURS.value:
            self._let_go(visit)
        if is_at_once:
            self._queue.put(visit, now)
        elif made.next_at is not None and (made.quiet or not read.is_far):
            self._queue.put(visit, made.next_at)
        if made.due is not None and visit not in self._held:
            self._since.setdefault(visit, made.due.since)

    async def _attend(self, visit: str) -> datetime | None:
        """Do one thing for a visit, and return when to look again."""
        found = self._found(visit)
        if found is None:
            self._let_go(visit)
            return None
        await self._knowledge.load([visit])
        perhaps = self._knowledge.perhaps(visit, found)
        if perhaps is not None and not await self._given_up(perhaps):
            return self._tools.now() + _BUSY_AGAIN
        made = self._plan(visit, found, self._wishes())
        if made.note:
            notice = self._knowledge.notice(visit, found)
            await self._tools.notices.note([notice])
            self._knowledge.learn(notice, self._tools.now())
            return self._tools.now()
        if made.due is not None:
            return await self._send(visit, found, made.due)
        undelivered = self._undelivered.pop(visit, None)
        if undelivered is not None:
            return await self._send_again(visit, found, undelivered)
        self._let_go(visit)
        if made.quiet:
            self._held[visit] = Reason.QUIET_HOURS.value
        else:
            self._far.pop(visit, None)
        return made.next_at

    async def _take_up_undelivered(self) -> None:
        """Let messages be tried again that did not arrive, while they say what holds."""
        site = self.site
        names = (site.namespace, site.organization_name, site.endpoint.name)
        for one in await self._tools.notices.undelivered(*names):
            if self._found(one.visit) is None:
                continue
            if one.about is None:
                self._knowledge.forget_reminder(one.visit, one.digest)
            else:
                self._undelivered[one.visit] = one
            self._queue.put(one.visit, self._tools.now())

    async def _given_up(self, perhaps: Notice) -> bool:
        """Take it that the patient was told what is not true any more, and may have gone out; unless somebody is at it."""
        if await self._tools.notices.give_up(self._knowledge.confirmation(perhaps), perhaps):
            self._knowledge.learn(perhaps, self._tools.now())
            return True
        self._knowledge.doubt(perhaps.visit)
        return False

    async def _send(self, visit: str, found: Booking, due: Due) -> datetime:
        """Try to send what is due, and return when to look again."""
        self._since.setdefault(visit, due.since)
        channel = self._wishes().channel or Channel.SMS
        sender, now = self._tools.sender, self._tools.now
        outcome: Result | Reason | None = sender.held_by(found, channel)
        if outcome is None:
            await self._tools.take(self._sender_of(channel), self.site.base_url)
            newest = self._found(visit)
            standing = None if newest is None else self._plan(visit, newest, self._wishes()).due
            if newest is None or standing is None or (standing.occasion, standing.offset) != (due.occasion, due.offset):
                return now()  # it changed while it waited for its turn
            message = self._message(visit, newest, due, channel)
            async with self._tools.sending(doubtful=self._troubles > 0):
                outcome = await sender.send(newest, message)
            if not is_for_now(outcome) and outcome is not Result.GIVEN_UP:
                self._end(visit, message)
                return now()
        return self._again(visit, outcome)

    async def _send_again(self, visit: str, found: Booking, undelivered: Undelivered) -> datetime:
        """Try once more to tell what did not arrive, if it holds; what cannot go out now is looked at with the next reading."""
        channel, about = self._wishes().channel or Channel.SMS, undelivered.about or ""
        if self._knowledge.is_true(visit, found, about):
            await self._tools.take(self._sender_of(channel), self.site.base_url)
            occasion, notice = Occasion(undelivered.occasion), self._knowledge.notice(visit, found)
            message = DueMessage(
                occasion, channel, visit, undelivered.digest, replace(notice, number=notice.number - 1)
            )
            await self._tools.sender.send(found, message)
        return self._tools.now()

    def _again(self, visit: str, outcome: Result | Reason) -> datetime:
        """Return when what did not end is tried again, and note why it waits."""
        now = self._tools.now()
        if isinstance(outcome, Reason):
            self._since.pop(visit, None)
            self._held[visit] = outcome.value
            return now + (_CAPPED_AGAIN if outcome.value in _OF_THE_DAY else _SET_UP_AGAIN)
        self._knowledge.doubt(visit)  # what is written down may be another's, and a message may have gone out
        if outcome in {Result.BUSY, Result.GIVEN_UP}:
            return now if outcome is Result.GIVEN_UP else now + _BUSY_AGAIN
        self._troubles += 1
        self._held[visit] = outcome.value
        return now + (_SET_UP_AGAIN if outcome is Result.PROVIDER_REFUSES else _FAILED_AGAIN)

    def _end(self, visit: str, message: DueMessage) -> None:
        self._troubles = 0
        self._let_go(visit)
        self._far.pop(visit, None)
        if message.notice is not None:
            self._knowledge.learn(message.notice, self._tools.now())
        else:
            self._knowledge.remind(visit, message.digest)

    def _plan(self, visit: str, found: Booking, wishes: Wishes) -> Plan:
        now, since = self._tools.now(), self._new.get(visit)
        new = since is not None and now - since <= FORGIVEN
        return plan(found, self._knowledge.past(visit, found, wishes.reminders), wishes, now, new=new)

    def _message(self, visit: str, found: Booking, due: Due, channel: Channel) -> DueMessage:
        if due.offset is not None:
            digest = self._knowledge.reminder(visit, found, due.offset)
            return DueMessage(due.occasion, channel, visit, digest)
        notice = self._knowledge.notice(visit, found)
        return DueMessage(due.occasion, channel, visit, self._knowledge.confirmation(notice), notice)

    async def _write_reading(self, name: str, before: Reading | None, done: Reading) -> None:
        """Write down that all is read; seldom, since there may be thousands of endpoints."""
        if before is not None and done.read_at - before.read_at <= FORGIVEN:
            done = Reading(done.read_at, max(done.covered_until, before.covered_until))
            is_little = done.covered_until - before.covered_until < _WRITTEN_EVERY
            if is_little and abs(done.read_at - before.read_at) < _WRITTEN_EVERY:
                return
        await self._tools.notices.put_reading(name, done)

    def _wishes(self) -> Wishes:
        return wishes_of(self.site.organization, self.site.endpoint.appointments.time_zone)

    def _is_sending(self, bookings: Mapping[str, Booking]) -> bool:
        """Return whether messages could be sent now, whatever visit they are of."""
        channel = self._wishes().channel
        if channel is None:
            return False
        reasons = (self._tools.sender.held_by(found, channel) for found in bookings.values())
        return next((reason for reason in reasons if reason is not Reason.VISIT_OVER), None) is None

    def _sender_of(self, channel: Channel) -> str:
        emails = self.site.organization.email_notifications
        sender = self.site.endpoint.sender_number if channel is Channel.SMS else emails and emails.sender_address
        return sender or ""

    def _reading_name(self) -> str:
        """Return the name of a reading: who reads other locations sees old bookings for the first time."""
        appointments = self.site.endpoint.appointments
        parts = (appointments.locations, appointments.practitioners, appointments.virtual_visit_types)
        names = [",".join(sorted(part)) for part in parts]
        return self._tools.secret.name("notice reading", self.site.base_url, *names)

    def _found(self, visit: str) -> Booking | None:
        """Return a visit as it is by the configuration of now, under which it was perhaps not read."""
        found = self._bookings.get(visit) or self._far.get(visit)
        return found if found is None or found.site is self.site else booking(self.site, found.appointment)

    def _let_go(self, visit: str) -> None:
        """Count a visit's message as due no more."""
        self._since.pop(visit, None)
        self._held.pop(visit, None)

    def _forget_others(self) -> None:
        """Forget visits that are not in memory any more."""
        kept = self._bookings.keys() | self._far.keys() | {visit for one in self._reads for visit in one.bookings}
        self._queue.keep(kept)
        self._knowledge.keep(kept)
        for dates in (self._new, self._since):
            for visit in dates.keys() - kept:
                del dates[visit]
        for visit in self._held.keys() - kept:
            del self._held[visit]
