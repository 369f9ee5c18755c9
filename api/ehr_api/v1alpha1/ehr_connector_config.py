"""EHRConnectorConfig: one organisation."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from ehr_api.meta import (
    E164,
    ApiModel,
    Cel,
    Duration,
    Guid,
    HttpsOrigin,
    HttpsUrl,
    KindStatus,
    immutable,
    rules,
)
from ehr_api.v1alpha1.messages import EMAIL_RULES, SMS_RULES, EmailNotifications, SmsNotifications


class DataGeography(StrEnum):
    """Where data at rest stays."""

    AMERICAS = "Americas"
    EUROPE = "Europe"
    ASIA_PACIFIC = "AsiaPacific"


class PatientJoin(StrEnum):
    """How a patient enters the meeting."""

    BROWSER = "Browser"
    VIRTUAL_APPOINTMENT = "VirtualAppointment"


class DriftPolicy(StrEnum):
    """What happens to a change that was made in the connector behind the operator's back."""

    CORRECT = "Correct"
    REPORT = "Report"


class Ehr(ApiModel):
    """The electronic health record system."""

    system: Literal["Cerner"] = Field(description="The EHR product. Cerner stands for Oracle Health Millennium.")
    release: Annotated[
        str,
        rules(
            Cel(
                "self.matches('^[0-9]{4}[.](0[1-9]|1[0-2])$')",
                "must be a release as year and month: YYYY.MM, for example 2024.05",
            ),
            Cel(
                "!self.matches('^[0-9]{4}[.](0[1-9]|1[0-2])$') || self >= '2018.11'",
                "must be 2018.11 (November 2018) or later: older Cerner releases cannot launch the connector; upgrade the EHR first",
            ),
        ),
    ] = Field(
        max_length=7,
        description="Release of the EHR as year and month, for example 2018.11 (November 2018), the oldest supported.",
    )


class Microsoft365(ApiModel):
    """The Microsoft 365 tenant whose Teams holds the visits."""

    tenant_id: Guid = Field(description="Directory (tenant) id in Microsoft Entra ID.")
    client_id: Guid = Field(description="Application (client) id of the connector's app registration in that tenant.")
    meeting_organizers: Annotated[list[Guid], Field(min_length=1, max_length=100)] = Field(
        description=(
            "Entra object ids of the accounts that organise the online meetings. Microsoft Graph allows 2,000 meetings"
            " a month for each, so list as many as the visits need."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    patient_join: PatientJoin | None = Field(
        default=None,
        description="How patients join: Browser (the default) opens Teams in the browser by the meeting's join link;"
        " VirtualAppointment uses the virtual-appointment join link where the tenant may call it.",
    )


class CommunicationServices(ApiModel):
    """The Azure Communication Services resource that holds the phone numbers."""

    endpoint: HttpsUrl = Field(
        description="Endpoint of the resource, for example https://contoso.unitedstates.communication.azure.com."
    )


class ConnectorAddress(ApiModel):
    """Where the connector answers."""

    public_url: HttpsUrl = Field(
        description="Address that patients' and clinicians' browsers open. It stands in integration records and text"
        " messages, so use a domain of the organisation and keep it for good.",
    )
    control_url: HttpsUrl = Field(
        description="Address of the connector's control API, reached by the operator alone.",
    )


class JoinWindow(ApiModel):
    """When a patient's link opens the visit."""

    opens_before: Duration | None = Field(default=None, description="How long before the start. Default: 30m.")
    closes_after: Duration | None = Field(default=None, description="How long after the start. Default: 4h.")


class Visits(ApiModel):
    """What clinicians and patients meet."""

    join_window: JoinWindow | None = Field(default=None, description="When a patient's link opens the visit.")
    help_phone: E164 | None = Field(default=None, description="Whom patients call when they cannot connect.")
    emergency_notice: str | None = Field(
        default=None,
        max_length=500,
        description="Sentence on every patient page, for example 'In an emergency call 911.'",
    )
    frame_ancestors: Annotated[list[HttpsOrigin], Field(max_length=20)] = Field(
        default_factory=list[str],
        description="Origins that may embed the clinician's pages: those of the EHR's embedded browser. None: none may.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class QualityThresholds(ApiModel):
    """Above (frame rate: below) any of these a call counts as poor."""

    jitter: Duration | None = Field(default=None, description="Average jitter. Default: 30ms.")
    round_trip_time: Duration | None = Field(default=None, description="Average round-trip time. Default: 500ms.")
    packet_loss_percent: int | None = Field(default=None, ge=0, le=100, description="Average loss. Default: 10.")
    concealed_audio_percent: int | None = Field(
        default=None, ge=0, le=100, description="Average ratio of concealed audio samples. Default: 7."
    )
    frame_rate: int | None = Field(default=None, ge=1, le=60, description="Average video frames a second. Default: 7.")


class QualityDimension(ApiModel):
    """One way to group call quality in reports."""

    name: str = Field(
        max_length=32, pattern="^[a-z][a-zA-Z0-9]*$", description="Name of the dimension, a column of the report."
    )
    source: Literal["Department", "Endpoint", "Environment", "VisitType", "Location", "NetworkKind", "Platform"] = (
        Field(description="Where the value comes from. None of the sources identifies a person.")
    )
    max_values: int | None = Field(
        default=None, ge=1, le=200, description="Values beyond this many are counted as 'other'. Default: 50."
    )


class Retention(ApiModel):
    """How long report rows are kept."""

    visits: Duration | None = Field(
        default=None, description="Rows of visits and call quality. Default: 9600h (400 days)."
    )
    audit: Duration | None = Field(default=None, description="Audit events. Default: 52560h (six years).")


class Reports(ApiModel):
    """Consumption and call-quality reports. Rows hold no identities."""

    dimensions: Annotated[list[QualityDimension], Field(max_length=8)] = Field(
        default_factory=list[QualityDimension],
        description="The organisation's own dimensions of call quality.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    thresholds: QualityThresholds | None = Field(default=None, description="What counts as a poor call.")
    retention: Retention | None = Field(default=None, description="How long rows are kept.")


class EHRConnectorConfigSpec(ApiModel):
    """Desired state of one organisation's connector."""

    display_name: str = Field(
        min_length=1, max_length=64, description="The organisation's name as patients see it on pages and in texts."
    )
    suspend: bool = Field(
        default=False, description="Stops all changes outside the cluster for this object; observation goes on."
    )
    ehr: Ehr = Field(description="The EHR system.")
    data_geography: Annotated[
        DataGeography, immutable("data stays where it was stored; create a new EHRConnectorConfig to move")
    ] = Field(
        description="Where the connector keeps what it stores. A connector of another geography refuses the organisation.",
    )
    microsoft365: Microsoft365 = Field(description="The Microsoft 365 tenant whose Teams holds the visits.")
    communication_services: CommunicationServices | None = Field(
        default=None, description="The Azure Communication Services resource; needed for text messages and e-mail."
    )
    connector: ConnectorAddress = Field(description="Where the connector answers.")
    sms_notifications: Annotated[SmsNotifications | None, SMS_RULES] = Field(
        default=None,
        description="Text messages to patients.",
    )
    email_notifications: Annotated[EmailNotifications | None, EMAIL_RULES] = Field(
        default=None,
        description="E-mail to patients.",
    )
    visits: Visits | None = Field(default=None, description="What clinicians and patients meet.")
    reports: Reports | None = Field(default=None, description="Consumption and call-quality reports.")
    drift_policy: DriftPolicy = Field(
        default=DriftPolicy.CORRECT,
        description="What happens to a change made in the connector behind the operator's back: Correct puts the desired"
        " configuration back, Report only says so in the condition Drifted, until something new is to be sent.",
    )

    @property
    def consent_recorded(self) -> bool:
        """Whether both consents stand, with who and when: only then a number may be bought or a text sent."""
        consent = self.sms_notifications.consent if self.sms_notifications else None
        return bool(
            consent
            and consent.send_on_behalf_of_organization
            and consent.attendees_have_consented
            and consent.acknowledged_by
            and consent.acknowledged_at
        )

    @property
    def sms_enabled(self) -> bool:
        """Whether the organisation asks for text messages."""
        return self.sms_notifications is not None and self.sms_notifications.enabled


class EHRConnectorConfigStatus(KindStatus):
    """Observed state of one organisation's connector."""

    control_url: str | None = Field(
        default=None, max_length=512, description="Control URL of the connector that the configuration was sent to."
    )
    sent_configuration_digest: str | None = Field(
        default=None,
        max_length=80,
        description="Digest of the configuration that was last sent to the connector, written before it is sent: what the"
        " connector then holds is no drift, also when its answer was lost.",
    )
    configuration_digest: str | None = Field(
        default=None, max_length=80, description="Digest of the configuration that the connector was read back to hold."
    )
    left_out_endpoints: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=20)] | None = Field(
        default=None,
        description="FhirEndpoints that the configuration was sent without, since the connector serves another organisation at"
        " their base URLs.",
    )
    endpoints: int | None = Field(default=None, ge=0, description="FhirEndpoints of this organisation.")
    ready_endpoints: int | None = Field(default=None, ge=0, description="Those that are Ready.")


SPEC_RULES = (
    Cel(
        "!has(self.smsNotifications) || !self.smsNotifications.enabled || has(self.communicationServices)",
        "text messages need communicationServices.endpoint: the Azure Communication Services resource that sends them",
        field_path=".communicationServices",
    ),
    *(
        Cel(
            f"!has(self.{section}) || !has(self.{section}.templates) || (has(self.visits) && has(self.visits.helpPhone))"
            f" || self.{section}.templates.all(one, !one.text.contains('{{helpPhone}}'))",
            f"the placeholder {{helpPhone}} in {section}.templates needs visits.helpPhone: whom patients call when they"
            " cannot connect",
            field_path=".visits",
        )
        for section in ("smsNotifications", "emailNotifications")
    ),
)
"""Rules across the fields of the spec."""
