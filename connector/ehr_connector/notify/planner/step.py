"""What is done for one visit at a time: what the patient may have heard is settled, what is due goes out, the rest waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from ehr_connector.notify.decision import Reason
from ehr_connector.notify.planner.knowledge import Knowledge
from ehr_connector.notify.planner.memory import VisitsInMemory
from ehr_connector.notify.planner.plan import Due, Plan, Wishes, is_missed, is_stale, is_told_of, plan, until, wishes_of
from ehr_connector.notify.planner.planned import DueMessage, Result, Tried, is_for_now
from ehr_connector.notify.planner.tools import NoticeTools
from ehr_connector.notify.planner.waiting import OF_THE_DAY, Held, Waiting
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.store.notices import Notice, Undelivered
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel

FAILED_AGAIN = timedelta(seconds=5)
_SET_UP_AGAIN = timedelta(seconds=60)
_CAPPED_AGAIN = timedelta(hours=1)
_BUSY_AGAIN = timedelta(seconds=15)


class Steps:
    """Takes the steps of one endpoint's visits."""

    def __init__(self, tools: NoticeTools, visits: VisitsInMemory, knowledge: Knowledge, waiting: Waiting) -> None:
        self.troubles = 0
        """How often in a row the EHR, the provider or the database failed."""
        self._tools = tools
        self._visits = visits
        self._knowledge = knowledge
        self._waiting = waiting
        self._undelivered: dict[str, Undelivered] = {}
        """Confirmations that did not arrive, by visit."""
        self._not_again_before: dict[str, datetime] = {}
        """When those may go out that cannot go out now."""
        self._rests: dict[str, datetime] = {}
        """Until when the provider wants nothing of a sender."""

    def wishes(self) -> Wishes:
        """Return what the organisation wants to be sent."""
        site = self._visits.site
        return wishes_of(site.organization, site.endpoint.appointments.time_zone)

    def plan(self, visit: str, found: Booking, wishes: Wishes) -> Plan:
        """Return what is due for a visit."""
        now = self._tools.now()
        past = self._knowledge.past(visit, found, wishes.reminders)
        return plan(found, past, wishes, now, new=self._visits.is_new(visit, now))

    def is_sending(self, bookings: Mapping[str, Booking]) -> bool:
        """Return whether messages could be sent now, whatever visit they are of."""
        channel = self.wishes().channel
        if channel is None:
            return False
        reasons = (self._tools.sender.held_by(found, channel) for found in bookings.values())
        return next((reason for reason in reasons if reason is not Reason.VISIT_OVER), None) is None

    def take_up(self, undelivered: Undelivered) -> datetime | None:
        """Let a message be tried again that did not arrive; return when, or None when its visit is not in memory."""
        if self._visits.find(undelivered.visit) is None:
            return None
        if undelivered.about is None:
            self._knowledge.forget_reminder(undelivered.visit, undelivered.digest)
        else:
            self._undelivered[undelivered.visit] = undelivered
        now = self._tools.now()
        return max(now, self._not_again_before.get(undelivered.visit, now))

    async def take(self, visit: str) -> datetime | None:
        """Do one thing for a visit, and return when to look again.

        Raises:
            SQLAlchemyError, OSError: The database does not answer; the next step goes on where this one ended.
        """
        found = self._visits.find(visit)
        if found is None:
            self._waiting.let_go(visit)
            self._undelivered.pop(visit, None)
            self._not_again_before.pop(visit, None)
            return None
        await self._knowledge.load([visit])
        perhaps = self._knowledge.perhaps(visit, found)
        if perhaps is not None and not await self._given_up(perhaps):
            return self._tools.now() + _BUSY_AGAIN
        made = self.plan(visit, found, self.wishes())
        if made.note:
            await self._give_up(visit, found)
            notice = self._knowledge.notice(visit, found)
            await self._tools.notices.note([notice])
            self._knowledge.learn(notice, self._tools.now())
            self._waiting.let_go(visit)
            return self._tools.now()
        if made.due is not None:
            return await self._send(visit, found, made.due)
        undelivered = self._undelivered.pop(visit, None)
        if undelivered is not None:
            await self._send_again(visit, found, undelivered)
            return self._tools.now()
        if made.waits is not None:
            self._waiting.hold(visit, Held(made.waits, Reason.QUIET_HOURS))
            return made.next_at
        held = self._waiting.of(visit)
        if held is not None:
            await self._miss(visit, found, held)
        self._waiting.let_go(visit)
        self._visits.drop_far(visit)
        return made.next_at

    async def _given_up(self, perhaps: Notice) -> bool:
        """Take it that the patient was told what is not true any more, and may have gone out; unless somebody is at it."""
        if await self._tools.notices.give_up(self._knowledge.confirmation(perhaps), perhaps):
            self._knowledge.learn(perhaps, self._tools.now())
            return True
        self._knowledge.doubt(perhaps.visit)
        return False

    async def _send(self, visit: str, found: Booking, due: Due) -> datetime:
        """Try to send what is due, and return when to look again."""
        self._waiting.could_go(visit, due.since)
        channel, now = self._channel(), self._tools.now
        against = self._tools.sender.held_by(found, channel)
        rests_until = self._rests.get(self._sender_of(channel), now())
        if against is not None:
            tried = Tried(against)
        elif rests_until > now():
            tried = Tried(Result.PROVIDER_UNAVAILABLE, rests_until)
        else:
            async with self._tools.turn(self._sender_of(channel), found.site.base_url, doubtful=self.troubles > 0):
                newest = self._visits.find(visit)
                standing = None if newest is None else self.plan(visit, newest, self.wishes()).due
                if (
                    newest is None
                    or standing is None
                    or (standing.occasion, standing.offset) != (due.occasion, due.offset)
                ):
                    return now()  # it changed while it waited for its turn
                message = self._message(visit, newest, due, channel)
                tried = await self._tools.sender.send(newest, message)
            if not is_for_now(tried.outcome) and tried.outcome is not Result.GIVEN_UP:
                self.troubles = 0
                self._waiting.let_go(visit)
                self._visits.drop_far(visit)
                self._learn(message)
                return now()
        return self._again(visit, found, due, tried)

    async def _send_again(self, visit: str, found: Booking, undelivered: Undelivered) -> None:
        """Try once more to tell what did not arrive, if it holds; what cannot go out now is taken up again later."""
        self._not_again_before.pop(visit, None)
        if not self._still_tells(undelivered, found):
            return
        channel = self._channel()
        async with self._tools.turn(self._sender_of(channel), found.site.base_url, doubtful=self.troubles > 0):
            newest = self._visits.find(visit)
            if newest is None or not self._still_tells(undelivered, newest):
                return
            occasion, notice = Occasion(undelivered.occasion), self._knowledge.notice(visit, newest)
            told = replace(notice, number=notice.number - 1)
            message = DueMessage(occasion, channel, visit, undelivered.digest, until(newest, occasion), told)
            tried = await self._tools.sender.send(newest, message)
        if tried.not_before is not None:
            self._not_again_before[visit] = tried.not_before

    def _still_tells(self, undelivered: Undelivered, found: Booking) -> bool:
        """Return whether a confirmation says what holds, to somebody whom it may help."""
        is_true = self._knowledge.is_true(undelivered.visit, found, undelivered.about or "")
        return is_true and is_told_of(found, self._tools.now())

    async def _give_up(self, visit: str, found: Booking) -> None:
        """Write down a booking that waited until it was no news any more, and why."""
        held, wishes = self._waiting.of(visit), self.wishes()
        if held is not None and is_stale(held.due, found, wishes):
            await self._tools.sender.miss(found, self._message(visit, found, held.due, self._channel()), held.why)

    async def _miss(self, visit: str, found: Booking, held: Held) -> None:
        """Write down a message that waited until it made no sense any more, and why."""
        past = self._knowledge.past(visit, found, self.wishes().reminders)
        if is_missed(held.due, found, past, self._tools.now()):
            message = self._message(visit, found, held.due, self._channel())
            await self._tools.sender.miss(found, message, held.why)
            self._learn(message)

    def _again(self, visit: str, found: Booking, due: Due, tried: Tried) -> datetime:
        """Return when what did not end is tried again, and note why it waits."""
        now, outcome = self._tools.now(), tried.outcome
        not_before = tried.not_before or now
        if isinstance(outcome, Reason):
            self._waiting.hold(visit, Held(due, outcome, tried.not_before, found.start))
            if not_before > now:
                return not_before
            return now + (_CAPPED_AGAIN if outcome in OF_THE_DAY else _SET_UP_AGAIN)
        self._knowledge.doubt(visit)  # what is written down may be another's, and a message may have gone out
        if outcome in {Result.BUSY, Result.GIVEN_UP}:
            return now if outcome is Result.GIVEN_UP else now + _BUSY_AGAIN
        self._waiting.hold(visit, Held(due, outcome, tried.not_before, found.start))
        if not_before > now:
            if tried.sender is not None:
                self._rests[tried.sender] = not_before  # no other message need ask before
            return not_before
        self.troubles += 1
        return now + (_SET_UP_AGAIN if outcome is Result.PROVIDER_REFUSES else FAILED_AGAIN)

    def _learn(self, message: DueMessage) -> None:
        """Know what was written down with the end of a message."""
        if message.notice is not None:
            self._knowledge.learn(message.notice, self._tools.now())
        else:
            self._knowledge.remind(message.visit, message.digest)

    def _message(self, visit: str, found: Booking, due: Due, channel: Channel) -> DueMessage:
        if due.offset is not None:
            digest = self._knowledge.reminder(visit, found, due.offset)
            return DueMessage(due.occasion, channel, visit, digest, until(found, due.occasion))
        notice = self._knowledge.notice(visit, found)
        digest = self._knowledge.confirmation(notice)
        return DueMessage(due.occasion, channel, visit, digest, until(found, due.occasion), notice)

    def _channel(self) -> Channel:
        return self.wishes().channel or Channel.SMS

    def _sender_of(self, channel: Channel) -> str:
        site = self._visits.site
        emails = site.organization.email_notifications
        sender = site.endpoint.sender_number if channel is Channel.SMS else emails and emails.sender_address
        return sender or ""
