"""One endpoint's messages: what the plan says is due goes out, at the pace of its number, and what waits is counted.

It works on the coming visits that are in memory. What was sent and what patients know is in the database, so that whoever
holds the endpoint's lease goes on where another ended: what fell due meanwhile is sent while it makes sense.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from ehr_connector.directory import Site
from ehr_connector.notify.decision import Reason
from ehr_connector.notify.planner.due import DueVisits
from ehr_connector.notify.planner.knowledge import Knowledge
from ehr_connector.notify.planner.memory import Read, VisitsInMemory
from ehr_connector.notify.planner.plan import FORGIVEN, Plan, Reading, is_new
from ehr_connector.notify.planner.step import FAILED_AGAIN, Steps
from ehr_connector.notify.planner.tools import NoticeTools
from ehr_connector.notify.planner.waiting import OF_THE_DAY, Held, Waiting
from ehr_connector.store.notices import Notice
from ehr_connector.visits.booking import Booking
from ehr_connector.waking import awakened

_log = logging.getLogger(__name__)

_SENDERS = 4
"""Messages of one endpoint that are under way at once: each reads a patient, and no rate limit is published."""
_LOOK_S = 30.0
"""Nobody sleeps longer than this, so that a clock that jumps is noticed."""
_BROKEN_AGAIN = timedelta(minutes=10)
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_BREATH = 100
_WRITTEN_EVERY = timedelta(minutes=10)


class EndpointNotices:
    """The messages of one endpoint."""

    def __init__(self, site: Site, tools: NoticeTools) -> None:
        self._tools = tools
        self._visits = VisitsInMemory(site)
        self._knowledge = Knowledge(tools.notices, tools.secret)
        self._waiting = Waiting()
        self._steps = Steps(tools, self._visits, self._knowledge, self._waiting)
        self._queue = DueVisits()
        self._under_way: set[str] = set()
        self._was_read, self._wake = asyncio.Event(), asyncio.Event()

    @property
    def site(self) -> Site:
        """The endpoint as it is configured."""
        return self._visits.site

    def reconfigured(self, site: Site) -> None:
        """Go by another configuration from now on."""
        self._visits.site = site
        for visit in self._waiting.visits():
            if visit not in self._under_way:
                self._queue.put(visit, self._tools.now())
        self._wake.set()

    def read(self, bookings: Mapping[str, Booking], until: datetime, *, far: bool = False) -> None:
        """Take the visits that were read: all that begin before `until`; or, with `far`, some that lie behind those."""
        self._visits.read(Read(bookings, until, far))
        self._was_read.set()

    def are_wanted(self) -> bool:
        """Return whether the organisation wants any."""
        return self._steps.wishes().channel is not None

    def held(self) -> Mapping[str, int]:
        """Return how many messages wait, by reason."""
        return self._waiting.by_reason()

    def oldest_due_s(self) -> float:
        """Return for how long the oldest message is due that could go out."""
        return self._waiting.oldest_s(self._tools.now())

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_settling(), name="plan messages")
            tasks.create_task(self._keep_sending(), name="send messages")

    async def settle(self) -> bool:
        """Learn what patients know of the visits that were read, note what is not to be said, and see what is due when.

        Return whether anything was read that was not settled.

        Raises:
            SQLAlchemyError, OSError: The database does not answer; the same is settled the next time.
        """
        read = self._visits.unsettled()
        if read is None:
            return False
        now, wishes = self._tools.now(), self._steps.wishes()
        bookings = dict(read.bookings)
        await self._knowledge.load(bookings)
        name = self._reading_name()
        before = await self._tools.notices.reading(name)
        noted: list[Notice] = []
        for number, (visit, found) in enumerate(bookings.items()):
            nothing, begun = self._knowledge.is_nothing(visit), self._knowledge.is_begun(visit)
            if begun or (nothing and is_new(found, before, now)):
                self._visits.see_new(visit, now)
            made = self._steps.plan(visit, found, wishes)
            # What waits is counted when it is given up.
            is_held = self._waiting.of(visit) is not None
            if made.note and not is_held and self._knowledge.perhaps(visit, found) is None:
                noted.append(self._knowledge.notice(visit, found))
            elif visit not in self._under_way:
                self._schedule(visit, found, made, is_far=read.is_far)
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
        await self._tools.notices.note(noted)
        for one in noted:
            self._knowledge.learn(one, now)
            self._queue.put(one.visit, now)
        await self._take_up_undelivered()
        if self._steps.is_sending(bookings):
            await self._write_reading(name, before, Reading(now, read.until))
        self._visits.settled(read)
        kept = self._visits.kept()
        for keeper in (self._queue, self._knowledge, self._waiting):
            keeper.keep(kept)
        self._wake.set()
        return True

    async def attend(self) -> bool:
        """Do what is to be done for the visit that is due for longest; return whether there was one and no trouble."""
        visit = self._queue.take(self._tools.now())
        if visit is None:
            return False
        self._under_way.add(visit)
        site = self.site
        try:
            again = await self._steps.take(visit)
        except (SQLAlchemyError, OSError) as exc:
            _log.warning("messages: the database does not answer (%s)", type(exc).__name__)
            self._knowledge.doubt(visit)
            self._steps.troubles += 1
            again = self._tools.now() + FAILED_AGAIN
        except Exception as exc:  # noqa: BLE001 (a fault of one visit ends no other's messages)
            # Of an unknown error not even the message: it may hold a phone number or a text.
            site_name = (self.site.namespace, self.site.endpoint.name)
            _log.error("a message of %s/%s failed: %s", *site_name, type(exc).__name__)
            again = self._tools.now() + _BROKEN_AGAIN
        finally:
            self._under_way.discard(visit)
        if again is not None:
            # What was found against it may have been of the configuration before.
            self._queue.put(visit, again if site is self.site else self._tools.now())
        return self._steps.troubles == 0

    async def _keep_settling(self) -> None:
        while True:
            await self._was_read.wait()
            self._was_read.clear()
            try:
                while await self.settle():
                    pass
            except (SQLAlchemyError, OSError) as exc:
                _log.warning("messages: the database does not answer (%s)", type(exc).__name__)
                self._was_read.set()
                await asyncio.sleep(FAILED_AGAIN.total_seconds())

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
            troubles = self._steps.troubles
            if troubles:
                await asyncio.sleep(min(_PAUSE_S * 2 ** min(troubles, 8), _LONGEST_PAUSE_S))

    async def _keep_attending(self) -> None:
        while await self.attend():
            pass

    def _schedule(self, visit: str, found: Booking, made: Plan, *, is_far: bool) -> None:
        now, held = self._tools.now(), self._waiting.of(visit)
        is_at_once = made.due is not None or made.note or self._knowledge.perhaps(visit, found) is not None
        if is_far and (is_at_once or made.waits is not None):
            self._visits.keep_far(visit, found)
        if held is not None and held.why in OF_THE_DAY and is_at_once:
            return
        if held is not None and held.still_waits(made.due, found.start, now):
            return
        if made.waits is not None:
            self._waiting.hold(visit, Held(made.waits, Reason.QUIET_HOURS))
        elif held is not None and held.why is Reason.QUIET_HOURS:
            is_at_once = True  # it goes out, or is not to be said any more
        if is_at_once:
            self._queue.put(visit, now)
        elif made.next_at is not None and (made.waits is not None or not is_far):
            self._queue.put(visit, made.next_at)
        if made.due is not None and held is None:
            self._waiting.could_go(visit, made.due.since)

    async def _take_up_undelivered(self) -> None:
        """Let messages be tried again that did not arrive, while they say what holds."""
        names = (self.site.namespace, self.site.organization_name, self.site.endpoint.name)
        for one in await self._tools.notices.undelivered(*names):
            again_at = self._steps.take_up(one)
            if again_at is not None:
                self._queue.put(one.visit, again_at)

    async def _write_reading(self, name: str, before: Reading | None, done: Reading) -> None:
        """Write down that all is read; seldom, since there may be thousands of endpoints."""
        if before is not None and done.read_at - before.read_at <= FORGIVEN:
            done = Reading(done.read_at, max(done.covered_until, before.covered_until))
            is_little = done.covered_until - before.covered_until < _WRITTEN_EVERY
            if is_little and abs(done.read_at - before.read_at) < _WRITTEN_EVERY:
                return
        await self._tools.notices.put_reading(name, done)

    def _reading_name(self) -> str:
        """Return the name of a reading: who reads other locations sees old bookings for the first time."""
        appointments = self.site.endpoint.appointments
        parts = (appointments.locations, appointments.practitioners, appointments.virtual_visit_types)
        names = [",".join(sorted(part)) for part in parts]
        return self._tools.secret.name("notice reading", self.site.base_url, *names)
