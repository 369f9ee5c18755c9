"""Whether an endpoint may serve real visits. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ehr_api.conditions import Finding, Type, false, true
from ehr_api.control import Evidence
from ehr_api.profile import served_spec
from ehr_api.v1alpha1.fhir_endpoint import Environment, FhirEndpointSpec, PromotedProfile


@dataclass(frozen=True, slots=True)
class Twin:
    """The Test endpoint that a Production endpoint is promoted from."""

    environment: Environment
    validated: bool
    profile_digest: str


EVIDENCE_S = 10.0
"""While evidence is waited for, the connector is asked this often."""
_ASKED = f"The connector is asked for it by itself every {EVIDENCE_S:g} s"
FORMER_PROFILE_SERVED = "FormerProfileServed"
"""Reason of `Promoted`: the spec asks for a profile that is not proved yet, and the one that was is served on."""


def promotion(
    spec: FhirEndpointSpec,
    twin: Twin | None,
    *,
    profile_digest: str | None,
    evidence: Evidence | None,
    forced_because: str | None,
    promoted: PromotedProfile | None,
) -> Finding:
    """Judge the promotion: a validated Test endpoint with the same profile, and a launch and a join completed on it.

    `evidence` None: the connector could not be asked, so nothing is known to have happened. `promoted` is the profile
    that the endpoint was promoted with before. While it is the one that is desired, nothing is asked of the Test endpoint
    again: trying things out is what Test is for. When another one is desired, the promoted one is served on until that is
    proved too: no change of a setting stops a hospital that runs.
    """
    if spec.environment is Environment.TEST:
        return true(Type.PROMOTED, "NotRequired", "a Test endpoint serves without promotion")
    if forced_because:
        return true(
            Type.PROMOTED, "Forced", f"promoted without evidence by annotation, because: {forced_because[:200]}"
        )
    name = spec.promoted_from.name if spec.promoted_from else ""
    if promoted is not None and promoted.digest == profile_digest:
        return _promoted(name)
    obstacle = _obstacle(name, twin, profile_digest, evidence)
    if obstacle is None:
        return _promoted(name)
    if promoted is None:
        asked = f". {_ASKED}" if obstacle.reason == "AwaitingEvidence" else ""
        return replace(obstacle, message=f"{obstacle.message}{asked}")
    if served_spec(spec, promoted) is spec:
        return true(
            Type.PROMOTED,
            "SettingsChanged",
            "promoted with other settings for visits and messages; they were changed since and are in effect. To prove them"
            f" too: {obstacle.message}",
        )
    return true(
        Type.PROMOTED,
        FORMER_PROFILE_SERVED,
        "visits go on with the visit types, write-back, departments and texting that were promoted; what the spec asks for"
        f" takes effect once it is proved: {obstacle.message}. {_ASKED}",
    )


def _obstacle(name: str, twin: Twin | None, profile_digest: str | None, evidence: Evidence | None) -> Finding | None:
    """Return what stands in the way of a promotion by evidence."""
    if twin is None:
        return false(
            Type.PROMOTED,
            "TestEndpointNotFound",
            f"waiting for the FhirEndpoint '{name}' in this namespace. Author: apply it, or correct promotedFrom; this goes on"
            " as soon as it is there",
        )
    if twin.environment is not Environment.TEST:
        return false(
            Type.PROMOTED,
            "NotATestEndpoint",
            f"the FhirEndpoint '{name}' is not a Test endpoint. Author: name one in promotedFrom; this goes on as soon as it is"
            " changed",
        )
    if not twin.validated:
        return false(
            Type.PROMOTED,
            "TestEndpointNotValidated",
            f"waiting for the FhirEndpoint '{name}' to be validated: its own conditions say who must act. This goes on as soon"
            " as it is",
        )
    if twin.profile_digest != profile_digest:
        return false(
            Type.PROMOTED,
            "ProfileDiffers",
            f"visit types, write-back, departments or texting differ from the FhirEndpoint '{name}'. Author: make both alike;"
            " this goes on as soon as they are",
        )
    if not _complete(evidence, name, profile_digest):
        unasked = "" if evidence else " (the connector, which would know of them, does not tell just now)"
        return false(
            Type.PROMOTED,
            "AwaitingEvidence",
            f"waiting for one completed provider launch and one patient join on '{name}' with this profile{unasked}. Author: let"
            " somebody hold a visit on the Test endpoint",
        )
    return None


def _promoted(name: str) -> Finding:
    return true(Type.PROMOTED, "EvidenceComplete", f"a provider launch and a patient join were completed on '{name}'")


def _complete(evidence: Evidence | None, endpoint: str, profile_digest: str | None) -> bool:
    return evidence is not None and any(
        seen.endpoint == endpoint
        and seen.profile_digest == profile_digest
        and seen.provider_launches > 0
        and seen.patient_joins > 0
        for seen in evidence.profiles
    )
