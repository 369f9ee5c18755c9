"""Sends a message that is due once: claims it, reads the patient, decides, sends, forgets.

Nothing is claimed for which the set-up is not there. Whatever breaks after the claim, the next try has the same id, and
goes out from the same sender: the provider takes it once. A confirmation that may have gone out and is not true any more
is given up, and the newer one has an id of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from uuid import UUID, uuid5

from ehr_clients.acs_sms import REPETITION_REJECTED
from ehr_clients.errors import RefusedError, RemoteError, TemporaryError
from ehr_clients.fhir_model import Patient
from ehr_connector.keys.files import KeysError
from ehr_connector.metrics import Metrics
from ehr_connector.notify.decision import Facts, Reason, against_set_up, decide
from ehr_connector.notify.planner.plan import not_held_after
from ehr_connector.notify.post import Post
from ehr_connector.notify.quiet import allowed_from
from ehr_connector.notify.recipient import Unreachable
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.store.notices import Notice
from ehr_connector.store.sends import Claim, Message, Sends, State
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel

_IDS = UUID("5e0b1c7a-9d4f-4f0e-8a53-0d6a5c1f2b77")
_REPEATABLE = timedelta(hours=12)
"""A repetition that is younger is known to the provider. How long it remembers no page says; a day is usual."""
_BY_EMAIL_INSTEAD = frozenset(
    {
        Reason.NO_PHONE,
        Reason.NOT_MOBILE,
        Reason.OPTED_OUT,
        Reason.NO_PATIENT_CONSENT,
        Reason.PREFERS_ANOTHER_WAY,
    }
)
_FOR_NOW = frozenset(
    {
        Reason.INACTIVE,
        Reason.DISABLED,
        Reason.NO_CONSENT,
        Reason.NO_SENDER,
        Reason.NO_PROVIDER,
        Reason.QUIET_HOURS,
        Reason.OVER_DAILY_CAP,
        Reason.OVER_WEEKLY_CAP,
    }
)
"""What may pass: the message waits for it as long as it makes sense."""
_LONGEST_REST = timedelta(hours=1)
"""A provider that asks for more rest is asked again nevertheless: its quotas are of a minute and of an hour."""
_NO_SUCH_PATIENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class Result(StrEnum):
    """What became of a try, where no reason spoke against it."""

    SENT = "sent"
    GIVEN_UP = "given_up"
    """It may have gone out before, and can be repeated no more."""
    REFUSED = "provider_refused"
    """The provider will not have this recipient or these words."""
    BUSY = "busy"
    """Another process is at it, or has ended it."""
    EHR_UNAVAILABLE = "ehr_unavailable"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    RATE_LIMITED = "rate_limited"
    """As many have gone out from the sender as the provider takes."""
    PROVIDER_REFUSES = "provider_refuses"
    """The provider refuses the sender or the credential, and so all messages."""


ENDED = frozenset({Result.SENT, Result.GIVEN_UP, Result.REFUSED})
"""The message is not tried again."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a try."""

    outcome: Result | Reason
    not_before: datetime | None = None
    """A next try before this moment would fail for the same reason."""
    sender: str | None = None
    """So would that of any message from this sender."""


def is_for_now(outcome: Result | Reason) -> bool:
    """Return whether the message is to be tried again."""
    return outcome in _FOR_NOW if isinstance(outcome, Reason) else outcome not in ENDED


@dataclass(frozen=True, slots=True)
class DueMessage:
    """A message that is due."""

    occasion: Occasion
    channel: Channel
    visit: str
    digest: str
    until: datetime
    """From when on it is of no use."""
    notice: Notice | None = None
    """What the patient knows once it is sent; a reminder says nothing new."""


@dataclass(frozen=True, slots=True)
class PlannedSender:
    """Sends what is due."""

    post: Post
    sends: Sends
    metrics: Metrics
    spare: Callable[[str], Awaitable[timedelta | None]]
    """Takes a turn of a sender if one can be had at once, or says how long that takes."""

    def held_by(self, found: Booking, channel: Channel) -> Reason | None:
        """Return what in the set-up speaks against any message now, without a look at anything outside memory."""
        return against_set_up(self.post.facts(found, channel))

    async def send(self, found: Booking, due: DueMessage) -> Tried:
        """Try to send, and return what became of it.

        Raises:
            SQLAlchemyError, OSError: The database does not answer; the next try goes on where this one ended.
        """
        tried = await self._send(found, due)
        if not is_for_now(tried.outcome):
            self.metrics.messages.labels(due.channel.value, due.occasion.value, tried.outcome.value).inc()
        return tried

    async def miss(self, found: Booking, due: DueMessage, why: Reason | Result) -> None:
        """Write down that a message is not sent any more, and why it had to wait; unless another process has ended it.

        Raises:
            SQLAlchemyError, OSError: The database does not answer.
        """
        claim = await self.sends.claim(_message(found, due))
        if claim is not None:
            state = State.UNKNOWN if claim.is_addressed else State.NOT_SENT
            await self.sends.end(claim, state, reason=why.value, notice=due.notice)
            self.metrics.messages.labels(due.channel.value, due.occasion.value, why.value).inc()

    async def _send(self, found: Booking, due: DueMessage) -> Tried:
        reason = against_set_up(replace(self.post.facts(found, due.channel), until=due.until))
        if reason is not None:
            return Tried(reason)
        claim = await self.sends.claim(_message(found, due))
        if claim is None:
            return Tried(Result.BUSY)
        if claim.is_addressed and not await self._is_repeatable(claim, due):
            return Tried(Result.GIVEN_UP)
        try:
            patient = await self._patient(found)
        except (RemoteError, KeysError):
            await self.sends.release(claim)
            return Tried(Result.EHR_UNAVAILABLE)
        if patient is None:
            return Tried(await self._decided(claim, due, Reason.NO_PHONE))
        facts, reason = await self._decision(found, due, claim, patient)
        if reason is not None or isinstance(facts.recipient, Unreachable):
            reason = await self._decided(claim, due, reason or Reason.NO_PHONE)
            return Tried(reason, _quiet_until(found, facts, due) if reason is Reason.QUIET_HOURS else None)
        return await self._hand_over(found, due, claim, facts, facts.recipient, patient)

    async def _is_repeatable(self, claim: Claim, due: DueMessage) -> bool:
        """Return whether what may have gone out may be sent again; if not, take it that it did."""
        says = due.notice.about if due.notice else None
        if claim.about == says and self.post.now() - claim.first_sent_at < _REPEATABLE:
            return True
        notice = replace(due.notice, about=claim.about) if due.notice and claim.about else None
        await self.sends.end(claim, State.UNKNOWN, reason=Result.GIVEN_UP.value, notice=notice)
        return False

    async def _patient(self, found: Booking) -> Patient | None:
        ids = found.appointment.ids_of("Patient")
        if not ids:
            return None
        try:
            return await self.post.patient(found, ids[0])
        except RefusedError as exc:
            if exc.status in _NO_SUCH_PATIENT:
                return None
            raise

    async def _decision(
        self, found: Booking, due: DueMessage, claim: Claim, patient: Patient
    ) -> tuple[Facts, Reason | None]:
        """Return the facts and what speaks against it; who cannot be texted gets an e-mail where there is any."""
        channel = Channel(claim.channel) if claim.is_addressed else due.channel
        facts = await self._facts(found, channel, due, claim, patient)
        if claim.is_addressed:
            facts = replace(facts, sender=claim.sender)
        reason = decide(facts)
        if claim.is_addressed or channel is not Channel.SMS or reason not in _BY_EMAIL_INSTEAD:
            return facts, reason
        instead = await self._facts(found, Channel.EMAIL, due, claim, patient)
        return (instead, None) if decide(instead) is None else (facts, reason)

    async def _facts(self, found: Booking, channel: Channel, due: DueMessage, claim: Claim, patient: Patient) -> Facts:
        facts = await self.post.facts_of(found, channel, patient, claim, automatic=True)
        # What was due when its turn came may have become useless while the EHR was asked.
        return replace(facts, until=due.until, now=self.post.now())

    async def _decided(self, claim: Claim, due: DueMessage, reason: Reason) -> Reason:
        if reason in _FOR_NOW:
            await self.sends.release(claim)
        else:
            state = State.UNKNOWN if claim.is_addressed else State.NOT_SENT
            await self.sends.end(claim, state, reason=reason.value, notice=due.notice)
        return reason

    async def _hand_over(
        self, found: Booking, due: DueMessage, claim: Claim, facts: Facts, recipient: str, patient: Patient
    ) -> Tried:
        # Its turn was that of a text: an e-mail in its place takes one if there is any.
        wait = await self.spare(facts.sender or "") if facts.channel is not due.channel else None
        if wait is not None:
            await self.sends.release(claim)
            return Tried(Result.RATE_LIMITED, self.post.now() + wait)
        name = self.post.recipient_name(found, recipient)
        if not await self.sends.address(claim, name, facts.sender, facts.channel.value):
            return Tried(Result.BUSY)
        message_id: str | None = None
        try:
            message_id = await self.post.call(found, due.occasion, claim, facts, recipient, patient)
        except RefusedError as exc:
            if exc.code != REPETITION_REJECTED:
                return Tried(await self._refused(claim, due, facts, exc))
            # The provider knows the id: it has taken the message before, perhaps in other words.
        except RemoteError as exc:
            await self.sends.release(claim)
            return Tried(Result.PROVIDER_UNAVAILABLE, self._not_before(exc), facts.sender)
        await self.sends.end(claim, State.ACCEPTED, message_id=message_id, notice=due.notice)
        if due.occasion is not Occasion.CANCELLATION:
            await self.post.service.sent(found, facts.channel)
        return Tried(Result.SENT)

    def _not_before(self, exc: RemoteError) -> datetime | None:
        """Return the time that the provider named."""
        asked_s = exc.retry_after_s if isinstance(exc, TemporaryError) else None
        return None if asked_s is None else self.post.now() + min(timedelta(seconds=asked_s), _LONGEST_REST)

    async def _refused(self, claim: Claim, due: DueMessage, facts: Facts, exc: RefusedError) -> Result:
        of_the_recipient = exc.status == HTTPStatus.BAD_REQUEST and (facts.channel is Channel.EMAIL or not exc.code)
        if not of_the_recipient:
            await self.sends.release(claim, untouched=not claim.is_addressed)
            return Result.PROVIDER_REFUSES
        reason = (exc.code or f"status {exc.status}")[:64]
        await self.sends.end(claim, State.NOT_SENT, reason=reason, notice=due.notice)
        return Result.REFUSED


def _quiet_until(found: Booking, facts: Facts, due: DueMessage) -> datetime:
    latest = not_held_after(found, facts.now, due.until)
    return allowed_from(facts.now, facts.zones, facts.quiet_hours, latest)


def _message(found: Booking, due: DueMessage) -> Message:
    return Message(
        digest=due.digest,
        visit=due.visit,
        namespace=found.site.namespace,
        name=found.site.organization_name,
        endpoint=found.site.endpoint.name,
        occasion=due.occasion.value,
        channel=due.channel.value,
        # The same for ever: should the database come back from a backup, the provider knows what it has taken.
        request_id=uuid5(_IDS, due.digest),
        about=due.notice.about if due.notice else None,
    )
