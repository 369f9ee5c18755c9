"""Sends one message once: claims it, reads the patient, decides, sends, forgets.

The claim is written before anything else, with the id and the time under which the provider takes the message once. Whatever
breaks after that, the next try has the same id: nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ehr_api.v1alpha1.fhir_endpoint import Environment
from ehr_api.v1alpha1.message_templates import Locale
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.fhir_model import Patient
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.decision import DAY, WEEK, Facts, Reason, against_set_up, decide
from ehr_connector.notify.provider import Providers
from ehr_connector.notify.recipient import Unreachable, email_of, locale_of, phone_of
from ehr_connector.notify.wordings import Occasion
from ehr_connector.notify.words import Particulars, text_of
from ehr_connector.notify.words import email_of as email_text_of
from ehr_connector.store.sends import Claim, Message, Sends, State
from ehr_connector.visits.booking import Access, Booking, access
from ehr_connector.visits.events import Channel
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import VisitService


class Outcome(StrEnum):
    """What became of a message against which nothing was decided."""

    SENT = "sent"
    BUSY = "busy"
    """Somebody else is sending the same one."""
    EHR_UNAVAILABLE = "ehr_unavailable"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    """Try again: it is sent once, whether the provider has it already or not."""
    PROVIDER_REFUSED = "provider_refused"


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends messages of visits."""

    ehr: EhrAccess
    service: VisitService
    sends: Sends
    providers: Providers
    allow_lists: AllowLists
    secret: SecretKeys
    metrics: Metrics
    now: Callable[[], datetime]

    def offers(self, found: Booking, channel: Channel) -> bool:
        """Return whether the set-up allows messages by this channel, whoever the patient is."""
        return against_set_up(self._facts(found, channel)) is None

    async def send_link(self, found: Booking, patient_id: str, channel: Channel) -> Outcome | Reason:
        """Send the patient's link, and return what became of it.

        Two presses of a button that come together are one message; a press after the end of another is one more. After
        `PROVIDER_UNAVAILABLE` the next press goes on with the same message.
        """
        visit = self.service.name(found.site, found.appointment_id)
        number = await self.sends.ended(visit, Occasion.LINK, channel)
        outcome = await self._send(found, patient_id, channel, Occasion.LINK, visit, str(number))
        self.metrics.messages.labels(channel.value, Occasion.LINK.value, outcome.value).inc()
        return outcome

    async def _send(
        self, found: Booking, patient_id: str, channel: Channel, occasion: Occasion, visit: str, which: str
    ) -> Outcome | Reason:
        claim = await self.sends.claim(
            Message(
                digest=self.secret.name("send", visit, occasion, channel, which),
                visit=visit,
                namespace=found.site.namespace,
                name=found.site.organization_name,
                endpoint=found.site.endpoint.name,
                occasion=occasion.value,
                channel=channel.value,
            )
        )
        if claim is None:
            return Outcome.BUSY
        try:
            patient = await self.ehr.call(found.site, lambda fhir: fhir.patient(patient_id))
        except (RemoteError, KeysError):
            await self.sends.release(claim)
            return Outcome.EHR_UNAVAILABLE
        facts = await self._facts_of(found, channel, patient)
        reason = decide(facts)
        if reason is not None or isinstance(facts.recipient, Unreachable):
            reason = reason or Reason.NO_PHONE
            await self.sends.end(claim, State.NOT_SENT, reason=reason.value)
            return reason
        return await self._hand_over(found, occasion, claim, facts, facts.recipient, patient)

    async def _hand_over(
        self, found: Booking, occasion: Occasion, claim: Claim, facts: Facts, recipient: str, patient: Patient
    ) -> Outcome:
        if not await self.sends.address(claim, self._recipient_name(found, recipient)):
            return Outcome.BUSY
        try:
            message_id = await self._call(found, occasion, claim, facts, recipient, patient)
        except RefusedError as exc:
            await self.sends.end(claim, State.NOT_SENT, reason=(exc.code or f"status {exc.status}")[:64])
            return Outcome.PROVIDER_REFUSED
        except RemoteError:
            await self.sends.release(claim)
            return Outcome.PROVIDER_UNAVAILABLE
        await self.sends.end(claim, State.ACCEPTED, message_id=message_id)
        return Outcome.SENT

    async def _call(
        self, found: Booking, occasion: Occasion, claim: Claim, facts: Facts, recipient: str, patient: Patient
    ) -> str:
        organization, endpoint = found.site.organization, found.site.endpoint
        sms, visits = organization.sms_notifications, organization.visits
        services = organization.communication_services
        address = services.endpoint if services else ""
        locale = locale_of(patient, (sms.default_locale if sms else None) or Locale.ENGLISH)
        particulars = Particulars(
            organization=organization.display_name,
            department=found.department.display_name,
            start=found.start,
            zone=endpoint.appointments.time_zone,
            link=self.service.link(found, Role.PATIENT),
            help_phone=visits.help_phone if visits else None,
        )
        sender = facts.sender or ""
        if facts.channel is Channel.SMS:
            text = text_of(occasion, locale, particulars, sms.templates if sms else ())
            return await self.providers.sms(address).send(
                sender,
                recipient,
                text,
                request_id=claim.request_id,
                first_sent=claim.first_sent_at,
                # It comes back with the delivery report, and tells nothing without the database.
                tag=claim.digest,
            )
        emails = organization.email_notifications
        subject, text = email_text_of(occasion, locale, particulars, emails.templates if emails else ())
        await self.providers.email(address).send(
            sender,
            recipient,
            subject,
            text,
            operation_id=claim.request_id,
            reply_to=emails.reply_to if emails else None,
        )
        return str(claim.request_id)

    async def _facts_of(self, found: Booking, channel: Channel, patient: Patient) -> Facts:
        facts, now = self._facts(found, channel), self.now()
        if channel is Channel.EMAIL:
            recipient = email_of(patient, now)
        else:
            recipient = phone_of(patient, facts.sender, now) if facts.sender else Unreachable.NO_PHONE
        if isinstance(recipient, Unreachable):
            return replace(facts, recipient=recipient)
        name = self._recipient_name(found, recipient)
        site = found.site
        return replace(
            facts,
            recipient=recipient,
            on_test_list=self.allow_lists.holds(site.namespace, site.organization_name, recipient),
            opted_out=await self.sends.is_opted_out(name),
            sent_today=await self.sends.sent_to(name, now - DAY),
            sent_this_week=await self.sends.sent_to(name, now - WEEK),
        )

    def _facts(self, found: Booking, channel: Channel) -> Facts:
        """Return what is known before the patient is read."""
        organization, endpoint = found.site.organization, found.site.endpoint
        sms, emails = organization.sms_notifications, organization.email_notifications
        services = organization.communication_services
        is_sms, now = channel is Channel.SMS, self.now()
        settings = sms if is_sms else emails
        return Facts(
            channel=channel,
            now=now,
            zone=endpoint.appointments.time_zone,
            closes_at=found.closes_at,
            is_open=access(found, now) is Access.OPEN,
            active=endpoint.active,
            enabled=settings is not None and settings.enabled,
            consent=sms.consent if sms else None,
            sender=endpoint.sender_number if is_sms else (emails.sender_address if emails else None),
            has_provider=self.providers.serves(services.endpoint if services else None),
            is_test=endpoint.environment is Environment.TEST,
            recipient=Unreachable.NO_PHONE if is_sms else Unreachable.NO_EMAIL,
            on_test_list=False,
            opted_out=False,
            sent_today=0,
            sent_this_week=0,
            caps=sms.caps if sms else None,
            quiet_hours=sms.quiet_hours if sms else None,
        )

    def _recipient_name(self, found: Booking, recipient: str) -> str:
        site = found.site
        return self.secret.name("recipient", site.namespace, site.organization_name, recipient)
