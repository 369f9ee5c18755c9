"""Messages to patients: what an organisation decides about text messages and e-mail."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from ehr_api.meta import ApiModel, Cel, Duration, SecretKeyReference, Time, rules
from ehr_api.v1alpha1.message_templates import (
    OF_EMAIL_TEMPLATE,
    OF_TEXT_TEMPLATE,
    EmailTemplate,
    Locale,
    MessageTemplate,
)


class PatientPreference(StrEnum):
    """What the patient's own preference in the EHR means."""

    RESPECTED = "Respected"
    REQUIRED = "Required"
    IGNORED = "Ignored"


class SmsConsent(ApiModel):
    """The two consents without which no number is bought and no text is sent, and who gave them."""

    send_on_behalf_of_organization: bool | None = Field(
        default=None, description="The service may send text messages on the organisation's behalf."
    )
    attendees_have_consented: bool | None = Field(
        default=None,
        description="The organisation makes sure that attendees have consented to send and receive text messages.",
    )
    patient_preference: PatientPreference | None = Field(
        default=None,
        description="What the patient's own preference for appointment reminders in the EHR means. Respected (the default):"
        " who prefers another way than texts gets no confirmations and reminders by text; a clinician may still send a link."
        " Required: only who prefers texts gets any. Ignored: it means nothing.",
    )
    acknowledged_by: str | None = Field(
        default=None, min_length=1, max_length=256, description="Who gave both consents for the organisation."
    )
    acknowledged_at: Time | None = Field(default=None, description="When they were given.")


class Confirmation(ApiModel):
    """Which changes of an appointment are confirmed to the patient by text message."""

    on_booking: bool | None = Field(default=None, description="Text when a visit is booked. Default: true.")
    on_change: bool | None = Field(default=None, description="Text when a visit is moved. Default: true.")
    on_cancellation: bool | None = Field(default=None, description="Text when a visit is cancelled. Default: true.")


class QuietHours(ApiModel):
    """Hours in which no text is sent: by the clinic's clocks, and by those of the area of the recipient's phone number."""

    start: str = Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="First quiet minute, for example 21:00.")
    end: str = Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="First minute to send again: 08:00.")
    due_messages: Literal["SendBefore", "SendAfter"] | None = Field(
        default=None,
        description="What happens to a text due in quiet hours: sent before they begin, or after they end (the default)."
        " It is never sent after the visit.",
    )


class SmsCaps(ApiModel):
    """The most texts that one patient gets."""

    per_day: int | None = Field(default=None, ge=1, le=20, description="A day. Default: 4.")
    per_week: int | None = Field(default=None, ge=1, le=100, description="Seven days. Default: 10.")


class SmsNotifications(ApiModel):
    """Text messages to patients."""

    enabled: bool = Field(description="Whether texts are sent. Needs both consents.")
    consent: SmsConsent | None = Field(default=None, description="The organisation's consents.")
    confirmation: Confirmation | None = Field(default=None, description="Which changes of a visit are confirmed.")
    reminders: Annotated[list[Duration], Field(max_length=5)] = Field(
        default_factory=list[str],
        description="How long before the visit reminders are sent, for example 24h and 1h.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    quiet_hours: QuietHours | None = Field(
        default=None,
        description="Hours without texts, by the clinic's clocks and by those of the phone number's area. Default: 21:00 to 08:00.",
    )
    default_locale: Locale | None = Field(
        default=None, description="Language for a patient whose own is unknown. Default: en."
    )
    templates: Annotated[list[Annotated[MessageTemplate, OF_TEXT_TEMPLATE]], Field(max_length=24)] = Field(
        default_factory=list[MessageTemplate],
        description="Texts that replace the built-in ones, one for each occasion and language.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["kind", "locale"]},
    )
    caps: SmsCaps | None = Field(default=None, description="The most texts that one patient gets.")
    test_recipients_secret_ref: SecretKeyReference | None = Field(
        default=None,
        description="The only numbers that a Test endpoint may text, one E.164 number a line. They stand in a Secret since"
        " a phone number is personal data.",
    )


_ENABLED = "!self.enabled || "
SMS_RULES = rules(
    Cel(
        _ENABLED + "(has(self.consent) && has(self.consent.sendOnBehalfOfOrganization)"
        " && self.consent.sendOnBehalfOfOrganization)",
        "text messages need consent.sendOnBehalfOfOrganization: true; set it once the organisation lets the service"
        " send on its behalf, or set enabled: false",
        field_path=".consent",
    ),
    Cel(
        _ENABLED
        + "(has(self.consent) && has(self.consent.attendeesHaveConsented) && self.consent.attendeesHaveConsented)",
        "text messages need consent.attendeesHaveConsented: true; set it once the organisation makes sure that attendees"
        " have consented, or set enabled: false",
        field_path=".consent",
    ),
    Cel(
        "!has(self.consent) || !((has(self.consent.sendOnBehalfOfOrganization) && self.consent.sendOnBehalfOfOrganization)"
        " || (has(self.consent.attendeesHaveConsented) && self.consent.attendeesHaveConsented))"
        " || (has(self.consent.acknowledgedBy) && has(self.consent.acknowledgedAt))",
        "a consent needs consent.acknowledgedBy (who gave it) and consent.acknowledgedAt (when, for example"
        " 2026-01-31T09:00:00Z)",
        field_path=".consent",
    ),
)


class EmailNotifications(ApiModel):
    """E-mail to patients."""

    enabled: bool = Field(description="Whether e-mail is sent.")
    sender_address: str | None = Field(
        default=None,
        max_length=254,
        pattern="^[^@ ]+@[^@ ]+$",
        description="Sender, an address of a domain that is linked to the Communication Services resource.",
    )
    reply_to: str | None = Field(
        default=None, max_length=254, pattern="^[^@ ]+@[^@ ]+$", description="Where answers go, a mailbox that is read."
    )
    templates: Annotated[list[Annotated[EmailTemplate, OF_EMAIL_TEMPLATE]], Field(max_length=20)] = Field(
        default_factory=list[EmailTemplate],
        description="E-mails that replace the built-in ones, one for each occasion and language.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["kind", "locale"]},
    )


EMAIL_RULES = rules(
    Cel("!self.enabled || has(self.senderAddress)", "e-mail needs senderAddress: who the e-mail comes from")
)
