"""The control API: what the operator tells the connector, and what the connector tells back.

    PUT    /control/v1/organizations/{namespace}/{name}/configuration   OrganizationConfiguration, ETag, If-Match
    GET    /control/v1/organizations/{namespace}/{name}/configuration   200 with ETag, or 404
    DELETE /control/v1/organizations/{namespace}/{name}/configuration   204, also when there is none
    GET    /control/v1/organizations/{namespace}/{name}/evidence        Evidence
    GET    /control/v1/organizations/{namespace}/{name}/graph           GraphReport
    GET    /control/v1/organizations/{namespace}/{name}/messages        MessagesReport
    POST   /control/v1/organizations/{namespace}/{name}/endpoints/{endpoint}/probes   ProbeReport; If-Match, optional

Errors are `application/problem+json` (RFC 9457): 401 no or bad token, 403 wrong subject, 404 unknown organisation or
endpoint, 409 another organisation holds a base URL, 412 `If-Match` does not hold, 422 another geography or an invalid
document. The ETag is the configuration's digest in double quotes; for probes, `probe_digest` of the endpoint.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import Field, JsonValue

from ehr_api.digest import digest_of
from ehr_api.meta import ApiModel, Name, Time
from ehr_api.v1alpha1.ehr_connector_config import (
    CommunicationServices,
    DataGeography,
    Ehr,
    Microsoft365,
    Reports,
    Visits,
)
from ehr_api.v1alpha1.fhir_endpoint import Appointments, Department, Environment
from ehr_api.v1alpha1.messages import EmailNotifications, SmsNotifications

Digest = Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]


class EndpointConfiguration(ApiModel):
    """One FhirEndpoint as the connector needs it. A launch or a send happens only while it is active."""

    name: Name
    base_url: Annotated[str, Field(max_length=512)]
    environment: Environment
    active: bool
    departments: Annotated[list[Department], Field(max_length=50)]
    clinician_client_id: Annotated[str, Field(max_length=128)]
    clinician_scopes: Annotated[list[str], Field(max_length=64)]
    system_client_id: Annotated[str, Field(max_length=128)]
    system_scopes: Annotated[list[str], Field(max_length=64)]
    appointments: Appointments
    sender_number: str | None = None
    promotion_forced: bool | None = None
    """Production serves without evidence, by somebody's word. Absent otherwise: older versions know no such field."""
    profile_digest: Digest

    @cached_property
    def digest(self) -> str:
        """The digest of this endpoint alone, computed once: an organisation may have thousands that stay as they are."""
        return digest_of(self.to_api())

    @cached_property
    def probe_digest(self) -> str:
        """The digest of what the probes depend on; the ETag of the endpoint for a request to run them."""
        return probe_digest(self.base_url, self.system_client_id, self.system_scopes, self.appointments)


def probe_digest(base_url: str, client_id: str, scopes: list[str], appointments: Appointments) -> str:
    """Return the digest of what the probes of an endpoint depend on."""
    return digest_of(
        {
            "baseURL": base_url,
            "systemClientID": client_id,
            "systemScopes": scopes,
            "locations": appointments.locations,
            "practitioners": appointments.practitioners,
        }
    )


class OrganizationConfiguration(ApiModel):
    """The whole desired configuration of one organisation: one document, one digest."""

    namespace: Name
    name: Name
    display_name: Annotated[str, Field(min_length=1, max_length=64)]
    data_geography: DataGeography
    ehr: Ehr
    public_url: Annotated[str, Field(max_length=512)]
    microsoft365: Microsoft365
    communication_services: CommunicationServices | None = None
    sms_notifications: SmsNotifications | None = None
    email_notifications: EmailNotifications | None = None
    visits: Visits | None = None
    reports: Reports | None = None
    endpoints: Annotated[list[EndpointConfiguration], Field(max_length=5000)] = Field(
        default_factory=list[EndpointConfiguration], description="Sorted by name."
    )

    def digest(self) -> str:
        """Return the digest of the document; it is the ETag (in quotes). Endpoints count by their own digests."""
        document = self.model_copy(update={"endpoints": []}).to_api()
        return digest_of(document | {"endpoints": [endpoint.digest for endpoint in self.endpoints]})


class ProfileEvidence(ApiModel):
    """Completed visits on one endpoint under one profile digest."""

    endpoint: Name
    profile_digest: Digest
    provider_launches: Annotated[int, Field(ge=0)]
    patient_joins: Annotated[int, Field(ge=0)]
    last_seen: Time | None = None


class RecordEvidence(ApiModel):
    """The last launch that used an integration record."""

    record: Name
    last_seen_launch: Time


class Evidence(ApiModel):
    """What the connector has seen: the ground on which Production is promoted."""

    profiles: list[ProfileEvidence] = Field(default_factory=list[ProfileEvidence])
    records: list[RecordEvidence] = Field(default_factory=list[RecordEvidence])


class ProbeOutcome(StrEnum):
    """How a probe that needs the connector's key ended."""

    PASSED = "Passed"
    UNREACHABLE = "Unreachable"
    """The address did not answer: connection refused, time-out, TLS error."""
    REFUSED = "Refused"
    """The server refused: wrong client, wrong key, missing permission (4xx)."""
    TENANT_REFUSED = "TenantRefused"
    """403 'Tenant not valid or accessible': the base URL's tenant is wrong or the app is not enabled there."""
    NOT_FOUND = "NotFound"
    """404: there is no such API under the base URL."""
    SERVER_ERROR = "ServerError"
    """5xx or 429: the server failed or is busy."""
    UNEXPECTED_ANSWER = "UnexpectedAnswer"
    """The answer is not what the standard asks for."""
    SCOPES_MISSING = "ScopesMissing"
    """A token was granted, but not for all scopes that are needed."""
    NOT_CONFIGURED = "NotConfigured"
    """The server's SMART configuration, or the connector's key, is not there yet."""
    NOT_RUN = "NotRun"
    """An earlier probe failed, so this one could not run."""


class ProbeResult(ApiModel):
    """Evidence of one probe. It never carries a token, a body or patient data."""

    outcome: ProbeOutcome
    http_status: int | None = None
    error_code: Annotated[str, Field(max_length=128)] | None = None
    """OAuth `error` or FHIR `OperationOutcome.issue.code`, where the server sent one. Where no answer came at all, why: the
    connector's own `no_address`, `address_refused`, `tls_failed` or `too_slow`."""
    missing_scopes: list[str] = Field(default_factory=list[str])
    matches: int | None = None
    """Appointments found by the search probe: a count, nothing of their content."""
    latency_milliseconds: int | None = None


class ProbeReport(ApiModel):
    """Answer to a request for probes."""

    token: ProbeResult
    appointment_search: ProbeResult


class GraphReason(StrEnum):
    """What stands in the way of online meetings."""

    NOT_CONFIGURED = "GraphNotConfigured"
    """The connector has no credential for Microsoft Graph."""
    CREDENTIAL_REFUSED = "GraphCredentialRefused"
    """Entra ID does not take the credential, or knows no such application or tenant."""
    PERMISSIONS_MISSING = "GraphPermissionsMissing"
    """Application permissions are not granted."""
    ACCESS_POLICY_MISSING = "AccessPolicyMissing"
    """No application access policy lets the application act for the organiser."""
    ORGANIZER_NOT_FOUND = "OrganizerNotFound"
    ORGANIZER_DISABLED = "OrganizerDisabled"
    ORGANIZER_NOT_LICENSED = "OrganizerNotLicensed"
    CALL_RECORDS_NOT_PERMITTED = "CallRecordsNotPermitted"
    """The application may not read call records, so that there is no call quality."""
    MEETING_LIMIT_REACHED = "MeetingLimitReached"
    """The organisers have made as many meetings as Graph allows in a month."""
    REFUSED = "GraphRefused"
    """Graph refused for a reason that is none of the others."""
    THROTTLED = "GraphThrottled"
    UNAVAILABLE = "GraphUnavailable"


class GraphFinding(ApiModel):
    """One thing that stands in the way of online meetings."""

    reason: GraphReason
    message: Annotated[str, Field(max_length=1024)]
    """What is wrong; it names no person."""
    remedy: Annotated[str, Field(max_length=2048)]
    """What mends it: the exact command where there is one."""
    organizer: str | None = None
    """Entra object id of the account that it is about, where it is about one."""
    is_advice: bool = False
    """Whether meetings are held all the same: it is told, and stands in nothing's way."""


class GraphReport(ApiModel):
    """Whether the connector can hold online meetings in the organisation's tenant."""

    checked_at: Time
    roles: list[str] = Field(default_factory=list[str])
    """Application permissions in the token, sorted."""
    organizers: Annotated[int, Field(ge=0)] = 0
    """How many organisers were looked at."""
    findings: list[GraphFinding] = Field(default_factory=list[GraphFinding])
    """Without any but advice nothing stands in the way."""


class HeldMessages(ApiModel):
    """Messages that are due and wait."""

    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """Why, as in the label of the metric `ehr_connector_held_messages`."""
    messages: Annotated[int, Field(ge=1)]


class NumberTrouble(ApiModel):
    """A phone number whose texts do not arrive, by the provider's reports."""

    number: Annotated[str, Field(max_length=32)]
    code: int
    """The provider's code: 4010 says that the number is not verified, or its texts are filtered."""
    since: Time


class MessagesReport(ApiModel):
    """Which messages of an organisation wait, and which of its numbers are in trouble."""

    held: list[HeldMessages] = Field(default_factory=list[HeldMessages])
    """Sorted by reason; what workers told in the last minutes."""
    troubles: list[NumberTrouble] = Field(default_factory=list[NumberTrouble])
    """Sorted by number."""


class Problem(ApiModel):
    """An error answer (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    base_url: str | None = None
    """With 409: the base URL that belongs to another organisation."""
    correlation_id: str | None = None


def configuration_path(namespace: str, name: str) -> str:
    """Return the path of an organisation's configuration."""
    return f"{_organization(namespace, name)}/configuration"


def evidence_path(namespace: str, name: str) -> str:
    """Return the path of an organisation's evidence."""
    return f"{_organization(namespace, name)}/evidence"


def graph_path(namespace: str, name: str) -> str:
    """Return the path of the report on Microsoft Graph."""
    return f"{_organization(namespace, name)}/graph"


def messages_path(namespace: str, name: str) -> str:
    """Return the path of the report on messages."""
    return f"{_organization(namespace, name)}/messages"


def probes_path(namespace: str, name: str, endpoint: str) -> str:
    """Return the path that runs the probes of one endpoint."""
    return f"{_organization(namespace, name)}/endpoints/{endpoint}/probes"


def _organization(namespace: str, name: str) -> str:
    return f"/control/v1/organizations/{namespace}/{name}"


def differing_fields(desired: OrganizationConfiguration, observed: dict[str, JsonValue]) -> list[str]:
    """Return the paths (for example `visits.helpPhone`) at which an observed document differs, sorted, at most 20."""
    found: list[str] = []
    _differ(desired.to_api(), observed, "", found)
    return sorted(found)[:20]


def _differ(left: JsonValue, right: JsonValue, path: str, found: list[str]) -> None:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in {*left, *right}:
            _differ(left.get(key), right.get(key), f"{path}.{key}".lstrip("."), found)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            _differ(one, other, f"{path}[{index}]", found)
    elif left != right:
        found.append(path)
