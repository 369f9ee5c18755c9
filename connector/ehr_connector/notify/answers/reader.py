"""Reads what the provider and patients answer: delivery reports, and the texts that people send back.

Every worker reads the one queue; a message that one of them has taken is hidden from the others. It is deleted once all that
it means is written down, so a worker that dies in the middle has lost nothing: everything here may be done twice, late and in
any order. Nothing of a text and no phone number is kept or logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import OrganizationConfiguration
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RemoteError, TemporaryError
from ehr_clients.storage_queue import QueueMessage, StorageQueue
from ehr_connector.directory import Directory
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.answers.delivery import NOT_VERIFIED, OPTED_OUT, Fate, of_email, of_text, pause_before_another
from ehr_connector.notify.answers.help_desk import HelpDesk, Question
from ehr_connector.notify.answers.opt_words import Asked, Wish, asked
from ehr_connector.notify.answers.provider_events import (
    EmailReported,
    MalformedEventError,
    ProviderEvent,
    TextReceived,
    TextReported,
    read,
)
from ehr_connector.notify.provider import resource_name
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.store.deliveries import Deliveries, News, Report, Reported
from ehr_connector.store.number_troubles import NumberTroubles
from ehr_connector.store.opt_outs import OptOuts
from ehr_connector.store.send_state import State

_log = logging.getLogger(__name__)

MOST_TRIES = 20
"""So often a message is taken; one that still cannot be dealt with is dropped. None is taken while the database is away."""
_AT_ONCE = 4
"""Answers that one worker deals with side by side: a few, for each of them takes a connection to the database."""
_HIDDEN_S = 60
_IDLE_S = 5.0
_PAUSE_MAX_S = 60.0
_TRIED_AGAIN = frozenset(one.value for one in Occasion if one is not Occasion.LINK)
"""The planner sends it again, while it holds; a link is sent again by whoever pressed the button."""


class Outcome(StrEnum):
    """What became of an answer."""

    WRITTEN = "written"
    OPEN_AGAIN = "open_again"
    """A report: the message is to be sent once more."""
    KNOWN = "known"
    """A report that says nothing new."""
    ON_THE_WAY = "on_the_way"
    """A report that is no end."""
    UNKNOWN = "unknown"
    """A report of no message of ours, or a text to no number of ours."""
    FOREIGN = "foreign"
    """Of another Communication Services resource than the organisation's."""
    STOP = "stop"
    START = "start"
    HELP = "help"
    NO_WISH = "no_wish"
    IGNORED = "ignored"
    """Of a kind that nothing is done about."""
    MALFORMED = "malformed"
    DROPPED = "dropped"
    LATER = "later"
    """It stays in the queue, and is looked at again."""


_KINDS = {TextReported: "text_report", TextReceived: "text", EmailReported: "email_report"}
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answers:
    """Reads the queue."""

    queue: StorageQueue
    directory: Directory
    deliveries: Deliveries
    opt_outs: OptOuts
    troubles: NumberTroubles
    help_desk: HelpDesk
    secret: SecretKeys
    metrics: Metrics
    now: Callable[[], datetime]
    idle_s: float = _IDLE_S
    hidden_s: int = _HIDDEN_S

    async def run(self) -> None:
        """Read until cancelled; what does not answer is asked again after a pause that grows."""
        pause_s = self.idle_s
        while True:
            try:
                taken = await self.read()
            except (RemoteError, CredentialError, SQLAlchemyError, OSError, KeysError) as exc:
                self.metrics.answer_reads.labels("failed").inc()
                pause_s = min(max(_asked_pause_s(exc), pause_s * 2), _PAUSE_MAX_S)
                _log.warning("answers are not read, for %.0f s: %s", pause_s, _named(exc))
                await asyncio.sleep(pause_s)
                continue
            self.metrics.answer_reads.labels("read").inc()
            pause_s = self.idle_s
            if not taken:
                await asyncio.sleep(pause_s)

    async def read(self) -> int:
        """Take some messages, deal with each, and return how many there were.

        Raises:
            RemoteError, CredentialError, SQLAlchemyError, OSError, KeysError: Something does not answer; what is left
                comes back.
        """
        # Looks at the database first: what is taken while that is away would come nearer to being dropped.
        await self.deliveries.check()
        messages = await self.queue.take(hidden_s=self.hidden_s)
        places = asyncio.Semaphore(_AT_ONCE)
        ended = await asyncio.gather(*(self._end(message, places) for message in messages), return_exceptions=True)
        for one in ended:
            if one is not None:
                raise one
        return len(messages)

    async def _end(self, message: QueueMessage, places: asyncio.Semaphore) -> None:
        async with places:
            kind, outcome = await self._dealt_with(message)
            self.metrics.answers.labels(kind, outcome.value).inc()
            if outcome is not Outcome.LATER:
                await self.queue.delete(message)

    async def _dealt_with(self, message: QueueMessage) -> tuple[str, Outcome]:
        try:
            event = read(message.text, self.now())
        except MalformedEventError as exc:
            _log.warning("an answer is dropped: %s", exc)
            return _OTHER, Outcome.MALFORMED
        kind = _OTHER if event is None else _KINDS[type(event)]
        if message.taken > MOST_TRIES:
            _log.error("an answer (%s) is dropped after %d tries", kind, MOST_TRIES)
            return kind, Outcome.DROPPED
        try:
            return kind, await self._outcome(event)
        except (SQLAlchemyError, OSError, KeysError):
            raise
        except TemporaryError as exc:
            _log.warning("an answer (%s) waits: %s", kind, exc)
        except Exception as exc:  # noqa: BLE001 (one bad answer must not keep the others from being read)
            # Of an unknown error not even the message: it may hold what somebody wrote.
            _log.error("an answer (%s) cannot be dealt with: %s", kind, type(exc).__name__)
        return kind, Outcome.LATER

    async def _outcome(self, event: ProviderEvent | None) -> Outcome:
        match event:
            case TextReported():
                return await self._text_reported(event)
            case TextReceived():
                return await self._text_received(event)
            case EmailReported():
                return await self._email_reported(event)
            case None:
                return Outcome.IGNORED

    async def _text_reported(self, event: TextReported) -> Outcome:
        fate = of_text(event.status, event.details)
        if fate is None:
            return Outcome.ON_THE_WAY
        report = Report(event.message_id, fate.state, fate.reason, event.at, event.tag)
        found = await self.deliveries.find(report)
        if found is None:
            return Outcome.UNKNOWN
        if not await self._is_of(found.namespace, found.name, event.resource):
            return Outcome.FOREIGN
        await self._learn(event, fate, found)
        again_after = await self._again_after(fate, found)
        return _told(await self.deliveries.write(report, again_after), again=again_after is not None)

    async def _again_after(self, fate: Fate, found: Reported) -> timedelta | None:
        """Return after what time the message is open once more, or None when it is over."""
        if found.occasion not in _TRIED_AGAIN:
            return None
        organization = await self.directory.organization(found.namespace, found.name)
        emails = organization.email_notifications if organization else None
        return pause_before_another(fate, found.attempts, by_email=emails is not None and emails.enabled)

    async def _learn(self, event: TextReported, fate: Fate, found: Reported) -> None:
        """Take from a report what it says of the phone and of the number, whatever it says of the message."""
        namespace, name = found.namespace, found.name
        if fate.code == OPTED_OUT:
            recipient = found.recipient
            if recipient is None and event.recipient is not None:
                recipient = self.secret.name("recipient", namespace, name, event.recipient)
            if recipient is not None:
                await self.opt_outs.opt_out(recipient, event.at)
        if event.sender is None:
            return
        if fate.code == NOT_VERIFIED:
            await self.troubles.note(namespace, name, event.sender, NOT_VERIFIED, event.at)
        elif fate.state is State.DELIVERED:
            await self.troubles.clear(namespace, name, event.sender, event.at)

    async def _email_reported(self, event: EmailReported) -> Outcome:
        fate = of_email(event.status)
        if fate is None:
            return Outcome.ON_THE_WAY
        report = Report(event.message_id, fate.state, fate.reason, event.at)
        found = await self.deliveries.find(report)
        if found is None:
            return Outcome.UNKNOWN
        if not await self._is_of(found.namespace, found.name, event.resource):
            return Outcome.FOREIGN
        return _told(await self.deliveries.write(report))

    async def _text_received(self, event: TextReceived) -> Outcome:
        wish = asked(event.text)
        if wish is None:
            return Outcome.NO_WISH
        organizations = await self._texted(event)
        for organization in organizations:
            await self._grant(organization, wish, event)
        return Outcome(wish.wish.value) if organizations else Outcome.UNKNOWN

    async def _grant(self, organization: OrganizationConfiguration, wish: Asked, event: TextReceived) -> None:
        recipient = self.secret.name("recipient", organization.namespace, organization.name, event.phone)
        # The carrier of a toll-free number answers STOP and START itself: another answer would be one too many.
        match wish.wish:
            case Wish.STOP:
                await self.opt_outs.opt_out(recipient, event.at)
            case Wish.START:
                await self.opt_outs.opt_in(recipient, event.at)
            case Wish.HELP:
                question = Question(event.message_id, event.number, event.phone, wish.locale, event.at)
                answer = await self.help_desk.answer(organization, question)
                self.metrics.messages.labels("sms", "help", answer.value).inc()

    async def _texted(self, event: TextReceived) -> Sequence[OrganizationConfiguration]:
        """Return the organisation whose number it is; for a number that none has any more, all that had the resource.

        Whoever answers to an old number means the organisation all the same.
        """
        served = [one for one in await self.directory.organizations() if _is_served(one, event.resource)]
        owners = [one for one in served if any(each.sender_number == event.number for each in one.endpoints)]
        return owners or served

    async def _is_of(self, namespace: str, name: str, resource: str) -> bool:
        organization = await self.directory.organization(namespace, name)
        # One that was removed meanwhile still had its messages sent.
        return organization is None or _is_served(organization, resource)


def _is_served(organization: OrganizationConfiguration, resource: str) -> bool:
    """Return whether a Communication Services resource is the organisation's; one outside Azure's domains has no name."""
    services = organization.communication_services
    return services is not None and resource_name(services.endpoint) in {None, resource}


def _told(news: News, *, again: bool = False) -> Outcome:
    match news:
        case News.NEW:
            return Outcome.OPEN_AGAIN if again else Outcome.WRITTEN
        case News.OLD:
            return Outcome.KNOWN
        case News.EARLY:
            return Outcome.LATER


def _asked_pause_s(exc: Exception) -> float:
    return (exc.retry_after_s or 0.0) if isinstance(exc, TemporaryError) else 0.0


def _named(exc: Exception) -> str:
    """Return what may be said of an error: ours name no value, the database's may."""
    return str(exc) if isinstance(exc, RemoteError | CredentialError | KeysError) else type(exc).__name__
