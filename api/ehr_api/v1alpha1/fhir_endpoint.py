"""FhirEndpoint: one FHIR base URL."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, WithJsonSchema

from ehr_api.meta import ApiModel, Cel, Duration, HttpsUrl, KindStatus, ObjectReference, Time, immutable, rules
from ehr_api.time_zones import time_zone_names


class Environment(StrEnum):
    """Whether patients are real."""

    TEST = "Test"
    PRODUCTION = "Production"


TimeZone = Annotated[str, WithJsonSchema({"type": "string", "enum": list(time_zone_names())})]
"""A zone of the IANA time zone database."""

FhirId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9.-]+$")]
"""A logical id of a FHIR resource; it means something only together with the FHIR base URL."""


class Department(ApiModel):
    """One department that holds visits at this endpoint."""

    name: str = Field(
        max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", description="Short name, used in reports and links."
    )
    display_name: str = Field(
        min_length=1,
        max_length=64,
        description="Name as patients see it. It must not reveal a diagnosis: write 'Clinic 4', not 'Oncology'.",
    )
    locations: Annotated[list[FhirId], Field(max_length=100)] = Field(
        default_factory=list[str],
        description="Ids of the FHIR Locations that belong to this department.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Smart(ApiModel):
    """The registrations of the connector as a SMART app at this endpoint."""

    clinician_client_id: str = Field(
        min_length=1, max_length=128, description="Client id for the EHR launch by clinicians (SMART App Launch)."
    )
    system_client_id: str = Field(
        min_length=1, max_length=128, description="Client id for system access (SMART Backend Services)."
    )


class Appointments(ApiModel):
    """Which appointments are virtual visits, and what is written back to them."""

    locations: Annotated[list[FhirId], Field(max_length=200)] = Field(
        default_factory=list[str],
        description="Ids of the FHIR Locations whose appointments are read. Cerner has no search for all appointments.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    practitioners: Annotated[list[FhirId], Field(max_length=200)] = Field(
        default_factory=list[str],
        description="Ids of the FHIR Practitioners whose appointments are read.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    virtual_visit_types: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]], Field(min_length=1, max_length=50)
    ] = Field(
        description="Appointment types (codes or texts of serviceType) that are virtual visits.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    time_zone: TimeZone = Field(
        description="Time zone of the clinic, a name of the IANA database such as America/Chicago. Times are shown in it."
    )
    write_back_links: bool | None = Field(
        default=None, description="Write the join links into the Appointment. Default: false."
    )
    write_back_arrival: bool | None = Field(
        default=None, description="Mark the Appointment arrived when the patient is in the lobby. Default: false."
    )


class Validation(ApiModel):
    """How often and how strictly the endpoint is validated."""

    interval: Duration | None = Field(default=None, description="Time between two validations. Default: 5m.")
    max_latency: Duration | None = Field(
        default=None, description="The slowest acceptable answer, as the 95th percentile of the last 20. Default: 5s."
    )
    failure_threshold: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="Failed validations in a row until a validated endpoint counts as failed. Default: 3.",
    )


class Records(ApiModel):
    """How integration records change."""

    overlap: Duration | None = Field(
        default=None, description="How long an old record stays valid after a change. Default: 336h (14 days)."
    )


class FhirEndpointSpec(ApiModel):
    """Desired state: one FHIR base URL of the organisation's EHR."""

    config_ref: ObjectReference = Field(description="The EHRConnectorConfig (organisation) that this belongs to.")
    suspend: bool = Field(
        default=False, description="Stops validation and all changes outside the cluster for this object."
    )
    base_url: Annotated[
        HttpsUrl,
        immutable(
            "a FHIR base URL is a static address that stands in the EHR's records; create a new FhirEndpoint instead"
        ),
    ] = Field(
        description="The FHIR base URL: the static address of the server's FHIR R4 API, for example"
        " https://fhir-ehr.cerner.com/r4/ec2458f2-1e24-41c8-b71b-0e701af7583d.",
    )
    environment: Annotated[
        Environment, immutable("Test and Production are gated differently; create a new FhirEndpoint instead")
    ] = Field(
        description="Test or Production. Production becomes active once its Test endpoint (promotedFrom) has proved itself."
    )
    departments: Annotated[list[Department], Field(min_length=1, max_length=50)] = Field(
        description="The departments that hold visits here.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    smart: Smart = Field(description="The registrations of the connector as a SMART app.")
    appointments: Annotated[
        Appointments,
        rules(
            Cel(
                "(has(self.locations) && size(self.locations) > 0) || (has(self.practitioners) && size(self.practitioners) > 0)",
                "needs at least one of locations and practitioners: Cerner answers no search for all appointments",
            )
        ),
    ] = Field(
        description="Which appointments are virtual visits.",
    )
    sms_number_ref: ObjectReference | None = Field(
        default=None, description="The SmsNumber that texts patients of this endpoint. None: no texts."
    )
    promoted_from: ObjectReference | None = Field(
        default=None, description="The Test FhirEndpoint that a Production endpoint is promoted from."
    )
    validation: Validation | None = Field(default=None, description="How often and how strictly it is validated.")
    records: Records | None = Field(default=None, description="How integration records change.")


SPEC_RULES = (
    Cel(
        "self.environment != 'Production' || has(self.promotedFrom)",
        "a Production endpoint needs promotedFrom.name: the Test FhirEndpoint that proves the set-up first",
        field_path=".promotedFrom",
    ),
    Cel(
        "self.environment != 'Test' || !has(self.promotedFrom)",
        "must not be set on a Test endpoint: only Production is promoted",
        field_path=".promotedFrom",
    ),
)
"""Rules across the fields of the spec."""


class SmartEndpoints(ApiModel):
    """What the server's SMART configuration says."""

    issuer: str | None = Field(default=None, max_length=512, description="Issuer of the authorization server.")
    authorization_endpoint: str | None = Field(default=None, max_length=512, description="Where a launch goes.")
    token_endpoint: str | None = Field(default=None, max_length=512, description="Where tokens are granted.")
    capabilities: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=100)] = Field(
        default_factory=list[str], description="SMART capabilities that the server declares, sorted."
    )


class PromotedProfile(ApiModel):
    """The profile that a Production endpoint was promoted with: it is served until another one is promoted."""

    digest: str = Field(max_length=80, description="Its digest, as `status.profileDigest`.")
    virtual_visit_types: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=50)] = Field(
        description="As in spec.appointments."
    )
    write_back_links: bool | None = Field(default=None, description="As in spec.appointments.")
    write_back_arrival: bool | None = Field(default=None, description="As in spec.appointments.")
    departments: Annotated[list[Department], Field(max_length=50)] = Field(description="As in spec.")
    texts: bool = Field(description="Whether an SmsNumber was linked.")


class FhirEndpointStatus(KindStatus):
    """Observed state of one FHIR base URL."""

    fhir_version: str | None = Field(
        default=None, max_length=32, description="FHIR version of the CapabilityStatement."
    )
    software: str | None = Field(
        default=None,
        max_length=256,
        description="Name and publisher of the CapabilityStatement; Cerner states no software.",
    )
    smart: SmartEndpoints | None = Field(default=None, description="What the server's SMART configuration says.")
    certificate_expiry: Time | None = Field(default=None, description="When the server's TLS certificate expires.")
    latency_milliseconds: int | None = Field(
        default=None,
        ge=0,
        description="The 95th percentile of the time of the CapabilityStatement's last answers, when a condition last changed.",
    )
    last_validated: Time | None = Field(
        default=None, description="When a validation last changed the result, or first confirmed it."
    )
    profile_digest: str | None = Field(
        default=None,
        max_length=80,
        description="Digest of what Test and Production must share; evidence counts for the same digest only.",
    )
    promoted_profile: PromotedProfile | None = Field(
        default=None,
        description="On a Production endpoint: the profile that its evidence was for. It is served on when the spec asks for"
        " another one, until that is proved too.",
    )
