"""Answers the word HELP with the help phone: once each, some times an hour, to whoever may be written to at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.fhir_endpoint import Environment
from ehr_api.v1alpha1.message_templates import Locale
from ehr_clients.errors import RefusedError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.decision import both_consents
from ehr_connector.notify.provider import Providers
from ehr_connector.notify.wording.words import help_answer
from ehr_connector.store.opt_outs import OptOuts
from ehr_connector.store.rates import Limit, Rates

_IDS = UUID("0f4a7e52-5f5c-4b0e-9c6d-3b8a7f1d2e90")
_LIMIT = Limit(3, timedelta(hours=1))
_AWAITED = timedelta(minutes=30)
"""Who asked longer ago has found help, or none."""
TAG = "help"
"""Comes back with the delivery report of an answer, of which nothing is kept."""

Pace = Callable[[str], Awaitable[None]]
"""Returns when one more text may go out from a number."""


class Answer(StrEnum):
    """What became of a question."""

    SENT = "sent"
    LATE = "late"
    NOT_WANTED = "opted_out"
    NOT_ALLOWED_IN_TEST = "not_allowed_in_test"
    NOT_SET_UP = "not_set_up"
    """The organisation sends no texts, or not from this number."""
    LIMITED = "limited"
    REFUSED = "provider_refused"


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody asks for help."""

    message_id: str
    number: str
    phone: str
    locale: Locale
    at: datetime


@dataclass(frozen=True, slots=True)
class HelpDesk:
    """Sends the answers."""

    providers: Providers
    allow_lists: AllowLists
    opt_outs: OptOuts
    rates: Rates
    secret: SecretKeys
    pace: Pace
    now: Callable[[], datetime]

    async def answer(self, organization: OrganizationConfiguration, question: Question) -> Answer:
        """Answer, unless something speaks against it.

        Raises:
            TemporaryError: Ask again: the answer is sent once, whether the provider has it already or not.
        """
        against = await self._against(organization, question)
        if against is not None:
            return against
        namespace, name = organization.namespace, organization.name
        sms, visits, services = (
            organization.sms_notifications,
            organization.visits,
            organization.communication_services,
        )
        text = help_answer(
            question.locale,
            organization.display_name,
            visits.help_phone if visits else None,
            sms.templates if sms else (),
        )
        try:
            await self.pace(question.number)
            await self.providers.sms(services.endpoint if services else "").send(
                question.number,
                question.phone,
                text,
                # Both follow from the question, so that one that is told twice is answered once.
                request_id=uuid5(_IDS, f"{namespace}/{name}/{question.message_id}"),
                first_sent=question.at.replace(microsecond=0),
                tag=TAG,
            )
        except RefusedError:
            return Answer.REFUSED
        except Exception:
            # It comes again, as often as it takes: only what was answered counts.
            await self.rates.give_back(self._bucket(namespace, name, question))
            raise
        return Answer.SENT

    async def _against(self, organization: OrganizationConfiguration, question: Question) -> Answer | None:
        namespace, name = organization.namespace, organization.name
        recipient = self.secret.name("recipient", namespace, name, question.phone)
        if not self._is_set_up(organization, question.number):
            return Answer.NOT_SET_UP
        if self.now() - question.at > _AWAITED:
            return Answer.LATE
        if _is_test(organization, question.number) and not self.allow_lists.holds(namespace, name, question.phone):
            return Answer.NOT_ALLOWED_IN_TEST
        if await self.opt_outs.holds(recipient):
            return Answer.NOT_WANTED
        over = await self.rates.take(self._bucket(namespace, name, question), _LIMIT)
        return None if over is None else Answer.LIMITED

    def _bucket(self, namespace: str, name: str, question: Question) -> str:
        return self.secret.name("help", self.secret.name("recipient", namespace, name, question.phone))

    def _is_set_up(self, organization: OrganizationConfiguration, number: str) -> bool:
        sms, services = organization.sms_notifications, organization.communication_services
        return (
            sms is not None
            and sms.enabled
            and both_consents(sms.consent)
            and self.providers.serves(services.endpoint if services else None)
            and any(one.active for one in organization.endpoints if one.sender_number == number)
        )


def _is_test(organization: OrganizationConfiguration, number: str) -> bool:
    """Return whether a number is that of Test endpoints alone, which write to nobody but those on their list."""
    used = [one for one in organization.endpoints if one.sender_number == number and one.active]
    return all(one.environment is Environment.TEST for one in used)
