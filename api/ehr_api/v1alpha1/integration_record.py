"""IntegrationRecord: what the EHR admin copies into Cerner."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ehr_api.meta import E164, ApiModel, Guid, KindStatus, ObjectReference, Time
from ehr_api.v1alpha1.fhir_endpoint import Environment


class RecordKind(StrEnum):
    """What a record sets up in the EHR."""

    LAUNCH = "Launch"
    DEVICE_TEST = "DeviceTest"
    SMS = "Sms"


class InitiatedBy(StrEnum):
    """Who starts a visit with this record."""

    PATIENT = "Patient"
    PROVIDER = "Provider"


Url = Annotated[str, Field(max_length=512)]
Text = Annotated[str, Field(max_length=256)]


class RecordParameter(ApiModel):
    """One launch parameter that the EHR fills in."""

    name: str = Field(min_length=1, max_length=64, description="Name of the parameter.")
    value: str = Field(max_length=256, description="Value, or the EHR's own placeholder for it.")


class IntegrationRecordSpec(ApiModel):
    """What is copied. The operator alone writes it; equal inputs give equal bytes."""

    endpoint_ref: ObjectReference = Field(description="The FhirEndpoint that this record belongs to.")
    kind: RecordKind = Field(description="What the record sets up: Launch, DeviceTest or Sms.")
    initiated_by: InitiatedBy | None = Field(default=None, description="Who starts a visit: Patient or Provider.")
    environment: Environment = Field(description="Test or Production. Never copy a record into the other environment.")
    tenant_id: Guid = Field(description="Directory (tenant) id in Microsoft Entra ID.")
    fhir_base_url: Url = Field(description="FHIR base URL of the endpoint.")
    launch_url: Url | None = Field(default=None, description="Launch URL: where the EHR opens the connector.")
    redirect_uri: Url | None = Field(default=None, description="Redirect URI to register for the SMART app.")
    client_id: Text | None = Field(default=None, description="Client id that the record launches.")
    jwks_url: Url | None = Field(
        default=None, description="Where the connector's public keys are (JWKS), to register for every client id here."
    )
    scopes: Annotated[list[Text], Field(max_length=64)] = Field(
        default_factory=list[str], description="SMART scopes to register for the client id, sorted."
    )
    system_client_id: Text | None = Field(
        default=None,
        description="Client id of system access, which nobody launches; in the record that the provider initiates.",
    )
    system_scopes: Annotated[list[Text], Field(max_length=64)] | None = Field(
        default=None, description="SMART scopes to register for system access, sorted."
    )
    parameters: Annotated[list[RecordParameter], Field(max_length=16)] = Field(
        default_factory=list[RecordParameter],
        description="Launch parameters.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    sender_number: E164 | None = Field(
        default=None, description="Phone number that texts patients; in the record of kind Sms."
    )
    digest: str = Field(max_length=80, description="SHA-256 over everything above: compare it after copying.")


class FormerRecord(ApiModel):
    """What the record said before a change: it may still stand in the EHR, and stays valid for the overlap."""

    revision: int = Field(ge=1, description="Which revision it was.")
    valid_until: Time = Field(description="Until when the EHR may hold it: the change and spec.records.overlap.")
    record: IntegrationRecordSpec = Field(description="What was copied.")


class IntegrationRecordStatus(KindStatus):
    """What is known about the use of the record."""

    revision: int | None = Field(default=None, ge=1, description="Counts the changes of the digest.")
    digest: str | None = Field(default=None, max_length=80, description="Digest that the revision counts.")
    acknowledged_digest: str | None = Field(
        default=None, max_length=80, description="Digest that the EHR admin acknowledged to have copied."
    )
    acknowledged_by: str | None = Field(default=None, max_length=256, description="Who acknowledged it.")
    acknowledged_at: Time | None = Field(default=None, description="When it was acknowledged.")
    last_seen_launch: Time | None = Field(
        default=None, description="When the connector last saw a launch by it, to the hour."
    )
    former: Annotated[list[FormerRecord], Field(max_length=5)] = Field(
        default_factory=list[FormerRecord],
        description="Earlier revisions that are still valid, the newest first.",
    )
