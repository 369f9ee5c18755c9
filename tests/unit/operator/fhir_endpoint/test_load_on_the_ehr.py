"""However the rest of the system fares, a hospital's EHR is not asked more often than its interval says."""

from __future__ import annotations

from unit.operator.conftest import NAMESPACE, endpoint_body, number_body
from unit.operator.fhir_endpoint.ehr import DOWN, System
from unit.operator.fhir_endpoint.test_promotion import PRODUCTION, PRODUCTION_SPEC, TEST

from ehr_api.conditions import Type
from ehr_operator.runtime.model import Key

FIVE_MINUTES_S = 300


async def test_production_that_awaits_evidence_of_an_untrusted_connector_asks_on_its_interval() -> None:
    system = System()
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.connector.trusted = False
    system.api.put(endpoint_body("lamna-production", spec=PRODUCTION_SPEC))
    await system.reconcile(PRODUCTION)
    before = len(system.probes.asked)

    await system.run(PRODUCTION, 60)

    assert len(system.probes.asked) == before


async def test_a_connector_that_is_down_makes_nobody_ask_the_ehr_more_often() -> None:
    system = System()
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.connector.down = True

    await system.run(TEST, 3600)

    assert len(system.probes.asked) <= 3600 / (0.9 * FIVE_MINUTES_S) + 1


async def test_an_endpoint_whose_connector_is_not_trusted_is_still_looked_at_on_its_interval() -> None:
    system = System()
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.connector.trusted = False
    system.clock.advance(400)

    outcome = await system.reconcile(TEST)

    assert outcome.requeue_after_s is not None
    assert 0.9 * FIVE_MINUTES_S <= outcome.requeue_after_s <= 1.1 * FIVE_MINUTES_S


async def test_asking_for_a_look_again_and_again_makes_no_failure_unseen() -> None:
    system = System()
    system.api.put(endpoint_body())
    await system.reconcile(TEST)
    system.probes.sees = DOWN

    reasons: list[str] = []
    for number in range(4):
        system.api.change(TEST, {"metadata": {"annotations": {"ehrconnector.io/requestedAt": str(number)}}})
        reasons.append((await system.reconcile(TEST)).reason)

    assert reasons[-1] == "Unreachable"


async def test_the_number_of_another_organisation_is_in_no_record() -> None:
    system = System()
    system.api.put(number_body(spec={"configRef": {"name": "other"}}, status={"phoneNumber": "+18335550101"}))
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))

    await system.reconcile(TEST)

    assert "senderNumber" not in system.api.bodies[Key("IntegrationRecord", NAMESPACE, "lamna-test-provider")]["spec"]


async def test_an_endpoint_that_is_suspended_from_the_start_says_so_in_each_condition() -> None:
    system = System()
    system.api.put(endpoint_body(spec={"suspend": True}))

    outcome = await system.reconcile(TEST)

    assert {finding.reason for finding in outcome.findings} == {"Suspended"}
    assert {Type.URL_WELL_FORMED, Type.VALIDATED, Type.PROMOTED, Type.SMS_LINKED} <= {
        finding.type for finding in outcome.findings
    }
