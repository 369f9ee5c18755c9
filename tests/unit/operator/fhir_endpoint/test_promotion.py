"""Production serves real patients only after its Test endpoint has proved the set-up, or by a stated decision."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, conditions, endpoint_body, endpoint_spec, finding, number_body
from unit.operator.fhir_endpoint.ehr import DOWN, System

from ehr_api.conditions import Type
from ehr_api.control import EndpointConfiguration, Evidence, ProfileEvidence
from ehr_api.meta import FORCE_PROMOTION
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import Department, Environment, FhirEndpointSpec
from ehr_operator.connector_config.document import configuration
from ehr_operator.fhir_endpoint.promotion import Twin, promotion
from ehr_operator.runtime.model import Key, State

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TEST, PRODUCTION = Key("FhirEndpoint", NAMESPACE, "lamna-test"), Key("FhirEndpoint", NAMESPACE, "lamna-production")
CONFIG = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)
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
    if found.status == "False":
        assert "Author: " in found.message or "its own conditions say who must act" in found.message
        assert "as soon as" in found.message or "by itself every 10 s" in found.message


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


async def _promoted(system: System) -> None:
    """Have Production promoted by a visit on its Test endpoint, and the connector then see no other."""
    system.api.put(number_body(status={"conditions": conditions(Ready="True"), "phoneNumber": "+18335550101"}))
    await _two(system)
    system.connector.evidence = seen(digest=(await system.reconcile(PRODUCTION)).status.profile_digest)
    assert (await system.reconcile(PRODUCTION)).state is State.READY


def _served(system: System) -> EndpointConfiguration:
    """Production as the connector is given it."""
    spec = EHRConnectorConfigSpec.model_validate(system.api.bodies[CONFIG]["spec"])
    bodies = [system.api.bodies[key] for key in (TEST, PRODUCTION)]
    senders = {"lamna-sms": "+18335550101"}
    document = configuration(CONFIG, system.api.bodies[CONFIG]["metadata"]["generation"], spec, bodies, senders, {})
    return next(part for part in document.endpoints if part.name == PRODUCTION.name)


PROFILE_CHANGES: dict[str, dict[str, Any]] = {
    "visit types": {"appointments": {"virtualVisitTypes": ["Video Visit", "Telehealth"]}},
    "write-back": {"appointments": {"writeBackArrival": True}},
    "departments": {"departments": [{"name": "a", "displayName": "A"}, {"name": "b", "displayName": "B"}]},
    "texting": {"smsNumberRef": {"name": "lamna-sms"}},
}


@pytest.mark.parametrize("change", PROFILE_CHANGES.values(), ids=PROFILE_CHANGES)
async def test_production_serves_on_as_it_was_promoted_until_a_changed_profile_is_proved(
    change: dict[str, Any], system: System
) -> None:
    await _promoted(system)
    before = _served(system)
    system.api.change(PRODUCTION, {"spec": change})
    assert _served(system) == before, "not even the moment before the next reconcile lets it through"

    outcome = await system.reconcile(PRODUCTION)
    assert (finding(outcome, Type.PROMOTED).status, outcome.state) == ("True", State.RECONCILING)
    assert outcome.reason == "FormerProfileServed"
    assert "differ from the FhirEndpoint 'lamna-test'. Author: make both alike" in outcome.message
    assert _served(system) == before

    system.api.change(TEST, {"spec": change})
    await system.reconcile(TEST)
    outcome = await system.reconcile(PRODUCTION)
    assert "waiting for one completed provider launch" in outcome.message
    assert outcome.requeue_after_s == 10
    assert _served(system) == before

    system.connector.evidence = seen(digest=outcome.status.profile_digest)
    outcome = await system.reconcile(PRODUCTION)
    assert finding(outcome, Type.PROMOTED).reason == "EvidenceComplete"
    served = _served(system)
    assert served.active
    assert served != before


ORGANIZATION_CHANGES: dict[str, dict[str, Any]] = {
    "quiet hours": {"smsNotifications": {"quietHours": {"start": "20:00", "end": "09:00"}}},
    "templates": {"smsNotifications": {"reminders": ["24h"]}},
    "texts off": {"smsNotifications": {"enabled": False}},
    "help phone": {"visits": {"helpPhone": "+18005550111"}},
    "e-mail": {"emailNotifications": {"enabled": True, "senderAddress": "visits@lamna.example"}},
}


@pytest.mark.parametrize("change", ORGANIZATION_CHANGES.values(), ids=ORGANIZATION_CHANGES)
async def test_no_setting_of_the_organisation_stops_a_hospital_that_runs(
    change: dict[str, Any], system: System
) -> None:
    await _promoted(system)
    system.api.change(CONFIG, {"spec": change})
    for down in (False, True):
        system.connector.down = down
        await system.reconcile(TEST)
        outcome = await system.reconcile(PRODUCTION)
        promoted = finding(outcome, Type.PROMOTED)
        assert (promoted.status, promoted.reason, outcome.state) == ("True", "SettingsChanged", State.READY)
        assert "hold a visit on the Test endpoint" in promoted.message
        assert _served(system).active
    system.connector.down = False
    system.connector.evidence = seen(digest=outcome.status.profile_digest)
    assert finding(await system.reconcile(PRODUCTION), Type.PROMOTED).reason == "EvidenceComplete"


async def test_the_same_change_keeps_out_production_that_was_never_promoted(system: System) -> None:
    await _two(system)
    system.connector.evidence = seen(digest=(await system.reconcile(PRODUCTION)).status.profile_digest)
    system.api.change(CONFIG, {"spec": {"visits": {"helpPhone": "+18005550111"}}})
    outcome = await system.reconcile(PRODUCTION)
    assert (finding(outcome, Type.PROMOTED).status, outcome.reason) == ("False", "AwaitingEvidence")
    assert not _served(system).active


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"smart": {"clinicianClientID": "another"}}, "clinician_client_id", "another"),
        ({"smsNumberRef": None}, "sender_number", None),
        (
            {"departments": [{"name": "clinic-4", "displayName": "Clinic Four", "locations": ["9"]}]},
            "departments",
            [Department(name="clinic-4", display_name="Clinic Four", locations=["9"])],
        ),
    ],
    ids=["client id", "no texts any more", "names of departments"],
)
async def test_what_is_no_risk_takes_effect_at_once_even_beside_what_is_held_back(
    change: dict[str, Any], field: str, value: Any, system: System
) -> None:
    texts = {"spec": {"smsNumberRef": {"name": "lamna-sms"}}}
    system.api.put(number_body(status={"conditions": conditions(Ready="True"), "phoneNumber": "+18335550101"}))
    await _two(system)
    for key in (TEST, PRODUCTION):
        system.api.change(key, texts)
        await system.reconcile(key)
    system.connector.evidence = seen(digest=(await system.reconcile(PRODUCTION)).status.profile_digest)
    assert (await system.reconcile(PRODUCTION)).state is State.READY
    assert _served(system).sender_number == "+18335550101"

    system.api.change(PRODUCTION, {"spec": {**change, "appointments": {"virtualVisitTypes": ["Telehealth"]}}})
    await system.reconcile(PRODUCTION)

    served = _served(system)
    assert getattr(served, field) == value
    assert served.appointments.virtual_visit_types == ["Video Visit"]


async def test_a_profile_that_is_taken_back_needs_no_new_proof(system: System) -> None:
    await _promoted(system)
    before = _served(system)
    system.api.change(PRODUCTION, {"spec": {"appointments": {"virtualVisitTypes": ["Telehealth"]}}})
    await system.reconcile(PRODUCTION)
    system.connector.evidence = Evidence()
    system.api.change(PRODUCTION, {"spec": {"appointments": {"virtualVisitTypes": ["Video Visit"]}}})
    outcome = await system.reconcile(PRODUCTION)
    assert (outcome.state, finding(outcome, Type.PROMOTED).reason) == (State.READY, "EvidenceComplete")
    assert _served(system) == before


async def test_force_serves_what_the_spec_asks_for_and_without_it_the_promoted_profile_comes_back(
    system: System,
) -> None:
    await _promoted(system)
    before = _served(system)
    system.api.change(PRODUCTION, {"spec": {"appointments": {"virtualVisitTypes": ["Telehealth"]}}})
    system.api.change(PRODUCTION, {"metadata": {"annotations": {FORCE_PROMOTION: "agreed"}}})
    await system.reconcile(PRODUCTION)
    assert _served(system).appointments.virtual_visit_types == ["Telehealth"]
    system.api.change(PRODUCTION, {"metadata": {"annotations": {FORCE_PROMOTION: None}}})
    assert (await system.reconcile(PRODUCTION)).reason == "FormerProfileServed"
    assert _served(system) == before


async def test_validated_is_what_serves_so_that_the_connector_knows_what_it_is_asked_about(system: System) -> None:
    await _promoted(system)
    system.api.change(PRODUCTION, {"spec": {"appointments": {"writeBackLinks": False}}})
    await system.reconcile(PRODUCTION)
    served = _served(system)
    assert system.connector.expected[-1] == served.probe_digest
    assert "system/Appointment.write" in served.system_scopes


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
