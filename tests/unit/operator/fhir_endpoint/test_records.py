"""What the EHR admin copies: the same bytes for the same inputs, and a digest that covers all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, config_spec, endpoint_body, endpoint_spec, number_body
from unit.operator.fhir_endpoint.ehr import System

from ehr_api.digest import digest_of
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_api.v1alpha1.integration_record import IntegrationRecordSpec, IntegrationRecordStatus
from ehr_operator.fhir_endpoint.records import record_keys, records
from ehr_operator.integration_record import IntegrationRecordKind
from ehr_operator.runtime.model import Finalized, Key, State, parse_object

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
PROVIDER = Key("IntegrationRecord", NAMESPACE, "lamna-test-provider")
PATIENT = Key("IntegrationRecord", NAMESPACE, "lamna-test-patient")


def made(sender: str | None = None, organization: Any = None, **spec: Any) -> dict[Key, IntegrationRecordSpec]:
    return records(
        KEY,
        FhirEndpointSpec.model_validate(endpoint_spec(**spec)),
        EHRConnectorConfigSpec.model_validate(config_spec(**(organization or {}))),
        sender,
    )


def test_an_endpoint_has_one_record_for_each_initiator_under_a_fixed_name() -> None:
    assert set(made()) == {PROVIDER, PATIENT} == set(record_keys(KEY))


def test_a_record_holds_what_is_copied_written_out() -> None:
    provider = made(sender="+18335550101")[PROVIDER].to_api()
    digest = provider.pop("digest")
    assert provider == {
        "endpointRef": {"name": "lamna-test"},
        "kind": "Launch",
        "initiatedBy": "Provider",
        "environment": "Test",
        "tenantID": "7f1c4d2e-0a5b-4c6d-8e9f-1a2b3c4d5e6f",
        "fhirBaseURL": "https://fhir-test.lamna.example/r4/5f3c2a10-0000-4000-8000-000000000001",
        "launchURL": "https://visits.lamna.example/launch/provider",
        "redirectURI": "https://visits.lamna.example/launch/callback",
        "clientID": "lamna-clinician",
        "jwksURL": "https://visits.lamna.example/.well-known/jwks.json",
        "scopes": [
            "fhirUser",
            "launch",
            "online_access",
            "openid",
            "user/Appointment.read",
            "user/Appointment.write",
            "user/Encounter.read",
            "user/Location.read",
            "user/Patient.read",
            "user/Practitioner.read",
        ],
        "parameters": [{"name": "record", "value": "lamna/lamna-test-provider"}],
        "senderNumber": "+18335550101",
    }
    assert digest == digest_of(provider)


def test_a_patients_record_has_the_system_client_and_no_redirect() -> None:
    patient = made()[PATIENT].to_api()
    assert (patient["clientID"], patient["launchURL"]) == (
        "lamna-system",
        "https://visits.lamna.example/launch/patient",
    )
    assert "redirectURI" not in patient


def test_equal_inputs_give_equal_bytes() -> None:
    assert len({json.dumps([record.to_api() for record in made().values()]) for _ in range(5)}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"smart": {"clinicianClientID": "another", "systemClientID": "another"}}},
        {"spec": {"environment": "Production", "promotedFrom": {"name": "x"}}},
        {"spec": {"baseURL": "https://another.example/r4"}},
        {"spec": {"appointments": {"writeBackLinks": False}}},
        {"organization": {"connector": {"publicURL": "https://other.lamna.example"}}},
        {"organization": {"microsoft365": {"tenantID": "11111111-2222-3333-4444-555555555555"}}},
        {"sender": "+18335550101"},
    ],
)
def test_the_digest_covers_everything_that_is_copied(change: dict[str, Any]) -> None:
    before = made()
    after = made(change.get("sender"), change.get("organization"), **change.get("spec", {}))
    assert all(before[key].digest != after[key].digest for key in (PROVIDER, PATIENT))


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"departments": [{"name": "clinic-5", "displayName": "Clinic 5"}]}},
        {"spec": {"appointments": {"timeZone": "America/Denver", "locations": ["1"]}}},
        {"spec": {"validation": {"interval": "1h"}, "suspend": True}},
        {"organization": {"displayName": "Another name", "visits": {"helpPhone": "+18005550100"}}},
        {"organization": {"connector": {"controlURL": "https://other.lamna.example"}}},
    ],
)
def test_what_is_not_copied_changes_no_record(change: dict[str, Any]) -> None:
    assert made(None, change.get("organization"), **change.get("spec", {})) == made()


async def test_records_are_written_once_and_owned_by_their_endpoint(system: System) -> None:
    system.api.put(endpoint_body())
    for _ in range(3):
        await system.reconcile(KEY)
    system.restart()
    await system.reconcile(KEY)
    assert [body["metadata"]["name"] for body in system.api.applied] == ["lamna-test-patient", "lamna-test-provider"]
    for body in system.api.applied:
        [owner] = body["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("FhirEndpoint", "lamna-test", "uid-of-lamna-test")
        assert body["metadata"]["labels"]["ehrconnector.io/endpoint"] == "lamna-test"


@pytest.mark.parametrize(
    "meddling",
    [
        {"spec": {"clientID": "somebody-else"}},
        {"metadata": {"labels": {"ehrconnector.io/environment": "Production"}}},
        {"metadata": {"labels": None}},
        {"metadata": {"ownerReferences": []}},
        {"metadata": {"deletionTimestamp": "2026-03-02T09:00:00Z"}},
    ],
)
async def test_a_record_that_somebody_changed_is_put_right(meddling: dict[str, Any], system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.api.change(PROVIDER, meddling)
    await system.reconcile(KEY)
    assert [body["metadata"]["name"] for body in system.api.applied[2:]] == ["lamna-test-provider"]


async def test_labels_and_annotations_of_others_are_left_alone(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.api.change(PROVIDER, {"metadata": {"labels": {"team": "ehr"}, "annotations": {"note": "copied"}}})
    await system.reconcile(KEY)
    assert len(system.api.applied) == 2


async def test_a_lost_record_is_written_again_byte_for_byte(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    before = system.api.bodies[PROVIDER]
    system.api.remove(PROVIDER)
    await system.reconcile(KEY)
    after = system.api.bodies[PROVIDER]
    assert json.dumps(after["spec"]) == json.dumps(before["spec"])
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


async def test_the_sender_stands_in_the_records_once_the_number_is_held(system: System) -> None:
    number = system.api.put(number_body())
    system.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    await system.reconcile(KEY)
    assert "senderNumber" not in system.api.bodies[PROVIDER]["spec"]
    system.api.change(number, {"status": {"phoneNumber": "+18335550101"}})
    await system.reconcile(KEY)
    assert {system.api.bodies[key]["spec"]["senderNumber"] for key in (PROVIDER, PATIENT)} == {"+18335550101"}


async def test_a_changed_digest_is_a_new_revision_and_nothing_else_is(system: System) -> None:
    kind = IntegrationRecordKind()
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    revisions: list[int | None] = []
    for sender in (None, None, "+18335550101", "+18335550101", None):
        system.api.change(PROVIDER, {"spec": made(sender)[PROVIDER].to_api()})
        outcome = await kind.reconcile(
            parse_object(
                "IntegrationRecord", system.api.bodies[PROVIDER], IntegrationRecordSpec, IntegrationRecordStatus
            )
        )
        assert outcome.state is State.READY
        system.api.settle(PROVIDER, outcome)
        revisions.append(outcome.status.revision)
    assert revisions == [1, 1, 2, 2, 3]
    assert list(kind.related(system.api.bodies[PROVIDER])) == [KEY]
    assert await kind.finalize(_parsed(system)) == Finalized()


def _parsed(system: System) -> Any:
    body = system.api.bodies[PROVIDER]
    return parse_object("IntegrationRecord", body, IntegrationRecordSpec, IntegrationRecordStatus)
