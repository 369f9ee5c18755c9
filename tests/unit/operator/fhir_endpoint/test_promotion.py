"""Production serves real patients only after its Test endpoint has proved the set-up, or by a stated decision."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, endpoint_body, endpoint_spec, finding
from unit.operator.fhir_endpoint.ehr import DOWN, System

from ehr_api.conditions import Type
from ehr_api.control import Evidence, ProfileEvidence
from ehr_api.meta import FORCE_PROMOTION
from ehr_api.v1alpha1.fhir_endpoint import Environment, FhirEndpointSpec
from ehr_operator.fhir_endpoint.promotion import Twin, promotion
from ehr_operator.runtime.model import Key, State

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TEST, PRODUCTION = Key("FhirEndpoint", NAMESPACE, "lamna-test"), Key("FhirEndpoint", NAMESPACE, "lamna-production")
PRODUCTION_SPEC = {
    "baseURL": "https://fhir.lamna.example/r4/5f3c2a10-0000-4000-8000-000000000002",
    "environment": "Production",
    "promotedFrom": {"name": "lamna-test"},
}
READY_TWIN = Twin(Environment.TEST, validated=True, profile_digest=DIGEST)


def seen(endpoint: str = "lamna-test", digest: str = DIGEST, launches: int = 1, joins: int = 1) -> Evidence:
    profile = ProfileEvidence(endpoint=endpoint, profile_digest=digest, provider_launches=launches, patient_joins=joins)
    return Evidence(profiles=[profile])


@pytest.mark.parametrize(
    ("twin", "evidence", "expected"),
    [
        (None, seen(), "False:TestEndpointNotFound"),
        (Twin(Environment.PRODUCTION, validated=True, profile_digest=DIGEST), seen(), "False:NotATestEndpoint"),
        (Twin(Environment.TEST, validated=False, profile_digest=DIGEST), seen(), "False:TestEndpointNotValidated"),
        (Twin(Environment.TEST, validated=True, profile_digest=OTHER), seen(), "False:ProfileDiffers"),
        (READY_TWIN, None, "False:AwaitingEvidence"),
        (READY_TWIN, Evidence(), "False:AwaitingEvidence"),
        (READY_TWIN, seen(launches=0), "False:AwaitingEvidence"),
        (READY_TWIN, seen(joins=0), "False:AwaitingEvidence"),
        (READY_TWIN, seen(digest=OTHER), "False:AwaitingEvidence"),
        (READY_TWIN, seen(endpoint="another"), "False:AwaitingEvidence"),
        (READY_TWIN, seen(), "True:EvidenceComplete"),
    ],
)
def test_production_is_promoted_only_by_a_launch_and_a_join_on_its_validated_twin(
    twin: Twin | None, evidence: Evidence | None, expected: str
) -> None:
    spec = FhirEndpointSpec.model_validate(endpoint_spec(**PRODUCTION_SPEC))
    found = promotion(spec, twin, profile_digest=DIGEST, evidence=evidence, forced_because=None, promoted=None)
    assert f"{found.status.value}:{found.reason}" == expected
    assert "'lamna-test'" in found.message


def test_evidence_of_several_profiles_is_not_added_up() -> None:
    spec = FhirEndpointSpec.model_validate(endpoint_spec(**PRODUCTION_SPEC))
    halves = Evidence(profiles=[*seen(joins=0).profiles, *seen(digest=OTHER, launches=0).profiles])
    found = promotion(spec, READY_TWIN, profile_digest=DIGEST, evidence=halves, forced_because=None, promoted=None)
    assert found.reason == "AwaitingEvidence"


def test_a_test_endpoint_needs_no_promotion() -> None:
    spec = FhirEndpointSpec.model_validate(endpoint_spec())
    found = promotion(spec, None, profile_digest=DIGEST, evidence=None, forced_because=None, promoted=None)
    assert (found.status, found.reason) == ("True", "NotRequired")


async def _two(system: System, **production: Any) -> None:
    """Apply a Test endpoint, validate it, and apply its Production endpoint."""
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.api.put(endpoint_body("lamna-production", spec=PRODUCTION_SPEC, **production))


async def test_production_awaits_its_evidence_validated_and_asks_for_it_every_ten_seconds(system: System) -> None:
    await _two(system)
    outcome = await system.reconcile(PRODUCTION)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "AwaitingEvidence")
    assert finding(outcome, Type.VALIDATED).status == "True"
    assert outcome.requeue_after_s == 10
    assert len(system.probes.asked) == 2
    await system.run(PRODUCTION, 60)
    assert len(system.probes.asked) == 2, "to wait for evidence is no reason to ask the EHR"


async def test_production_is_ready_as_soon_as_the_connector_has_seen_a_visit(system: System) -> None:
    await _two(system)
    digest = (await system.reconcile(PRODUCTION)).status.profile_digest
    system.connector.evidence = seen(digest=digest)
    outcome = await system.reconcile(PRODUCTION)
    assert (outcome.state, finding(outcome, Type.PROMOTED).reason) == (State.READY, "EvidenceComplete")


async def test_a_connector_that_cannot_be_asked_takes_no_promotion_back(system: System) -> None:
    await _two(system)
    system.connector.evidence = seen(digest=(await system.reconcile(PRODUCTION)).status.profile_digest)
    await system.reconcile(PRODUCTION)
    system.connector.down = True
    outcome = await system.reconcile(PRODUCTION)
    assert finding(outcome, Type.PROMOTED).status == "True"


async def test_a_changed_profile_takes_the_promotion_back(system: System) -> None:
    await _two(system)
    system.connector.evidence = seen(digest=(await system.reconcile(PRODUCTION)).status.profile_digest)
    await system.reconcile(PRODUCTION)
    system.connector.down = True
    for key in (TEST, PRODUCTION):
        system.api.change(key, {"spec": {"appointments": {"writeBackLinks": False}}})
    outcome = await system.reconcile(PRODUCTION)
    assert (finding(outcome, Type.PROMOTED).status, finding(outcome, Type.PROMOTED).reason) == (
        "False",
        "AwaitingEvidence",
    )


async def test_a_forced_promotion_needs_a_reason_and_leaves_one_warning(system: System) -> None:
    await _two(system, annotations={FORCE_PROMOTION: "  "})
    assert finding(await system.reconcile(PRODUCTION), Type.PROMOTED).status == "False"
    system.api.change(PRODUCTION, {"metadata": {"annotations": {FORCE_PROMOTION: "go-live was agreed"}}})
    outcome = await system.reconcile(PRODUCTION)
    assert (outcome.state, finding(outcome, Type.PROMOTED).reason) == (State.READY, "Forced")
    assert [(note.reason, note.warning) for note in outcome.notes] == [("PromotionForced", True)]
    assert "go-live was agreed" in outcome.notes[0].message
    assert (await system.reconcile(PRODUCTION)).notes == ()


async def test_force_validates_nothing(system: System) -> None:
    await _two(system, annotations={FORCE_PROMOTION: "go-live was agreed"})
    system.probes.sees = DOWN
    outcome = await system.reconcile(PRODUCTION)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "Unreachable")
