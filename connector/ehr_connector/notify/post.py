"""What every message takes: the facts that decide on it, its words, and one call to the provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ehr_api.v1alpha1.fhir_endpoint import Environment
from ehr_api.v1alpha1.message_templates import Locale
from ehr_clients.fhir_model import Patient
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.decision import DAY, WEEK, Facts
from ehr_connector.notify.provider import Providers
from ehr_connector.notify.recipient import Unreachable, email_of, is_closed, locale_of, phone_of, wish_of, zones_of
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.notify.wording.words import Particulars, text_of
from ehr_connector.notify.wording.words import email_of as email_text_of
from ehr_connector.store.sends import Claim, Sends
from ehr_connector.visits.booking import Access, Booking, access
from ehr_connector.visits.events import Channel
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import VisitService


@dataclass(frozen=True, slots=True)
class Post:
    """Reads whom a message goes to, and hands it over; what was read is forgotten at the end of the call."""

    ehr: EhrAccess
    service: VisitService
    sends: Sends
    providers: Providers
    allow_lists: AllowLists
    secret: SecretKeys
    now: Callable[[], datetime]

    async def patient(self, found: Booking, patient_id: str) -> Patient:
        """Return the patient as the EHR has it now.

        Raises:
            RemoteError, KeysError: The EHR gave no usable answer.
        """
        return await self.ehr.call(found.site, lambda fhir: fhir.patient(patient_id))

    async def call(
        self, found: Booking, occasion: Occasion, claim: Claim, facts: Facts, recipient: str, patient: Patient
    ) -> str:
        """Send a message under the claim's id, from the facts' sender, and return the provider's id of it.

        Raises:
            RemoteError: It was refused, or nobody knows what became of it.
        """
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

    async def facts_of(
        self, found: Booking, channel: Channel, patient: Patient, claim: Claim, *, automatic: bool = False
    ) -> Facts:
        """Return what a decision is made from; the claimed message itself does not count for the caps."""
        facts, now = self.facts(found, channel), self.now()
        facts = replace(facts, automatic=automatic, is_closed=is_closed(patient), wish=wish_of(patient))
        if channel is Channel.EMAIL:
            recipient = email_of(patient, now)
        else:
            recipient = phone_of(patient, facts.sender, now) if facts.sender else Unreachable.NO_PHONE
        if isinstance(recipient, Unreachable):
            return replace(facts, recipient=recipient)
        name = self.recipient_name(found, recipient)
        site = found.site
        today, this_week = await self.sends.sent_to(name, now - DAY, now - WEEK, besides=claim.digest)
        return replace(
            facts,
            recipient=recipient,
            zones=facts.zones if channel is Channel.EMAIL else (*facts.zones, *zones_of(recipient)),
            on_test_list=self.allow_lists.holds(site.namespace, site.organization_name, recipient),
            opted_out=await self.sends.is_opted_out(name),
            sent_today=today,
            sent_this_week=this_week,
        )

    def facts(self, found: Booking, channel: Channel) -> Facts:
        """Return what is known before the patient is read."""
        organization, endpoint = found.site.organization, found.site.endpoint
        sms, emails = organization.sms_notifications, organization.email_notifications
        services = organization.communication_services
        is_sms, now = channel is Channel.SMS, self.now()
        settings = sms if is_sms else emails
        return Facts(
            channel=channel,
            now=now,
            zones=(endpoint.appointments.time_zone,),
            until=found.closes_at,
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

    def recipient_name(self, found: Booking, recipient: str) -> str:
        """Return the keyed name of a recipient: the same for all endpoints of an organisation."""
        site = found.site
        return self.secret.name("recipient", site.namespace, site.organization_name, recipient)
