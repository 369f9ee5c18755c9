"""What to do about the configuration in the connector. Pure: what is desired and what is held go in, one step comes out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ehr_api.control import OrganizationConfiguration, differing_fields
from ehr_api.v1alpha1.ehr_connector_config import DriftPolicy, EHRConnectorConfigSpec, EHRConnectorConfigStatus
from ehr_clients.control import HeldConfiguration
from ehr_operator.remotes import origin


@dataclass(frozen=True, slots=True)
class InSync:
    """The connector holds what is desired."""


@dataclass(frozen=True, slots=True)
class Send:
    """Make the connector hold what is desired."""

    corrects: str | None
    """The fields that somebody else had changed there; None where nobody had."""


@dataclass(frozen=True, slots=True)
class Report:
    """Somebody else changed these fields, and the organisation wants them left alone."""

    fields: str


@dataclass(frozen=True, slots=True)
class Rest:
    """The organisation is suspended: what the connector holds stays there."""


Step = InSync | Send | Report | Rest


def plan(
    spec: EHRConnectorConfigSpec,
    status: EHRConnectorConfigStatus,
    desired: OrganizationConfiguration,
    held: HeldConfiguration | None,
) -> Step:
    """Return the one next step."""
    if held is not None and held.digest == desired.digest():
        return InSync()
    admitted = without(desired, status.left_out_endpoints or ())
    fields = _drift(status, admitted, held)
    if spec.suspend:
        return Rest() if fields is None else Report(fields)
    # Only what stands as it was sent is left alone: what was changed in Git since then, a withdrawn consent perhaps, is sent.
    is_sent = status.sent_configuration_digest in {desired.digest(), admitted.digest()}
    if fields is not None and is_sent and spec.drift_policy is DriftPolicy.REPORT:
        return Report(fields)
    return Send(fields)


def without(desired: OrganizationConfiguration, names: Collection[str]) -> OrganizationConfiguration:
    """Return `desired` without the endpoints of these names."""
    kept = [endpoint for endpoint in desired.endpoints if endpoint.name not in names]
    return desired.model_copy(update={"endpoints": kept})


def moves(spec: EHRConnectorConfigSpec, status: EHRConnectorConfigStatus) -> bool:
    """Return whether another connector than the one of the spec was given the configuration."""
    return status.control_url is not None and origin(status.control_url) != origin(spec.connector.control_url)


def _drift(
    status: EHRConnectorConfigStatus, desired: OrganizationConfiguration, held: HeldConfiguration | None
) -> str | None:
    """Return the fields that somebody else changed in the connector, or None when what is held is a word of ours."""
    if held is None:
        # A first document may never have arrived; one that was read back can only have been removed.
        return None if status.configuration_digest is None else "the whole configuration was removed"
    if held.digest in {status.configuration_digest, status.sent_configuration_digest}:
        return None
    if status.sent_configuration_digest is None:
        return None  # from before this object stood: taken over
    return ", ".join(differing_fields(desired, held.document)) or "the stated digest"
