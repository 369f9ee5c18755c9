"""Condition types and reasons (both are API), and the pure functions that set conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ehr_api.meta import Condition, ConditionStatus


class Type(StrEnum):
    """Every condition type that the operator writes."""

    # Each kind. Exactly one of the three is True once the operator has looked (kstatus, Flux and Argo CD read them).
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    # EHRConnectorConfig
    CONSENT_RECORDED = "ConsentRecorded"
    GRAPH_AUTHORIZED = "GraphAuthorized"
    ENDPOINTS_READY = "EndpointsReady"
    SMS_READY = "SmsReady"
    CONNECTOR_CONFIGURED = "ConnectorConfigured"
    DRIFTED = "Drifted"
    # FhirEndpoint
    URL_WELL_FORMED = "UrlWellFormed"
    DNS_RESOLVED = "DnsResolved"
    TLS_TRUSTED = "TlsTrusted"
    METADATA_OK = "MetadataOk"
    SMART_CONFIGURED = "SmartConfigured"
    TOKEN_GRANTED = "TokenGranted"  # noqa: S105 (a condition type, no secret)
    APPOINTMENT_SEARCH_OK = "AppointmentSearchOk"
    LATENCY_OK = "LatencyOk"
    VALIDATED = "Validated"
    PROMOTED = "Promoted"
    SMS_LINKED = "SmsLinked"
    # SmsNumber
    RESERVED = "Reserved"
    PROVISIONED = "Provisioned"
    VERIFIED = "Verified"
    LINKED = "Linked"
    # IntegrationRecord
    ACKNOWLEDGED = "Acknowledged"


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition before it is compared with the one that stands in status."""

    type: Type
    status: ConditionStatus
    reason: str
    message: str


def true(type_: Type, reason: str, message: str) -> Finding:
    """Return the finding that `type_` holds."""
    return Finding(type_, ConditionStatus.TRUE, reason, message)


def false(type_: Type, reason: str, message: str) -> Finding:
    """Return the finding that `type_` does not hold."""
    return Finding(type_, ConditionStatus.FALSE, reason, message)


def unknown(type_: Type, reason: str, message: str) -> Finding:
    """Return the finding that nobody can say yet whether `type_` holds."""
    return Finding(type_, ConditionStatus.UNKNOWN, reason, message)


def merge(
    current: Sequence[Condition], findings: Iterable[Finding], *, generation: int, now: datetime
) -> list[Condition]:
    """Return the conditions for status: one for each finding, in the findings' order.

    `lastTransitionTime` is kept while the status of a condition stays, as the Kubernetes API conventions ask, so that an
    unchanged result is byte for byte what stands in status already. Types without a finding are dropped: that is how
    `Reconciling` and `Stalled` disappear.
    """
    standing = {condition.type: condition for condition in current}
    merged: list[Condition] = []
    for finding in findings:
        old = standing.get(finding.type)
        kept = old is not None and old.status == finding.status
        merged.append(
            Condition(
                type=finding.type,
                status=finding.status,
                observed_generation=generation,
                last_transition_time=old.last_transition_time
                if old is not None and kept
                else now.replace(microsecond=0),
                reason=finding.reason,
                message=finding.message,
            )
        )
    return merged


def find(conditions: Iterable[Condition], type_: Type) -> Condition | None:
    """Return the condition of this type, if it stands."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: Type) -> bool:
    """Return whether the condition of this type stands and is True."""
    condition = find(conditions, type_)
    return condition is not None and condition.status == ConditionStatus.TRUE
