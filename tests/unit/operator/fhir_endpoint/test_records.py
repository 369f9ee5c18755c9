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
from ehr_api.v1alpha1.integration_record import IntegrationRecordSpec
from ehr_connector.launch import flow
from ehr_operator.connector_config.document import configuration
from ehr_operator.fhir_endpoint.records import record_keys, records
from ehr_operator.runtime.model import Key

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
PROVIDER = Key("IntegrationRecord", NAMESPACE, "lamna-test-provider")
PATIENT = Key("IntegrationRecord", NAMESPACE, "lamna-test-patient")
DEVICE_TEST = Key("IntegrationRecord", NAMESPACE, "lamna-test-device-test")
SMS = Key("IntegrationRecord", NAMESPACE, "lamna-test-sms")
LINKED = {"smsNumberRef": {"name": "lamna-sms"}}
OVERLAP_S = 336 * 3600


def made(sender: str | None = None, organization: Any = None, **spec: Any) -> dict[Key, IntegrationRecordSpec]:
    return records(
        KEY,
        FhirEndpointSpec.model_validate(endpoint_spec(**spec)),
        EHRConnectorConfigSpec.model_validate(config_spec(**(organization or {}))),
        sender,
    )


def test_an_endpoint_has_a_record_for_each_initiator_the_device_test_and_its_number_under_fixed_names() -> None:
    assert set(made()) == {PROVIDER, PATIENT, DEVICE_TEST}
    assert set(made("+18335550101")) == {PROVIDER, PATIENT, DEVICE_TEST, SMS} == set(record_keys(KEY))


def test_a_record_holds_what_is_copied_written_out() -> None:
    provider = made()[PROVIDER].to_api()
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
        "systemClientID": "lamna-system",
        "systemScopes": [
            "system/Appointment.read",
            "system/Appointment.write",
            "system/Encounter.read",
            "system/Location.read",
            "system/Patient.read",
            "system/Practitioner.read",
        ],
    }
    assert digest == digest_of(provider)


def test_a_patients_launch_is_copied_like_a_providers_but_for_its_address_and_without_system_access() -> None:
    patient, provider = made()[PATIENT].to_api(), made()[PROVIDER].to_api()
    differing = {name for name in provider if patient.get(name) != provider[name]}
    assert differing == {"initiatedBy", "launchURL", "parameters", "systemClientID", "systemScopes", "digest"}
    assert patient["launchURL"] == "https://visits.lamna.example/launch/patient"
    assert patient["parameters"] == [{"name": "record", "value": "lamna/lamna-test-patient"}]
    assert "systemClientID" not in patient


def test_both_launches_carry_what_the_connector_sends_to_the_ehr() -> None:
    organization = EHRConnectorConfigSpec.model_validate(config_spec())
    name = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)
    [sent] = configuration(name, 1, organization, [endpoint_body()], {}, {}).endpoints
    for key in (PROVIDER, PATIENT):
        record = made()[key]
        assert (record.client_id, record.scopes) == (sent.clinician_client_id, sent.clinician_scopes)
        assert record.redirect_uri == organization.connector.public_url + flow.CALLBACK_PATH
    assert (made()[PROVIDER].system_client_id, made()[PROVIDER].system_scopes) == (
        sent.system_client_id,
        sent.system_scopes,
    )


def test_the_device_test_and_the_number_have_what_belongs_to_them_and_no_more() -> None:
    common = {
        "endpointRef": {"name": "lamna-test"},
        "environment": "Test",
        "tenantID": "7f1c4d2e-0a5b-4c6d-8e9f-1a2b3c4d5e6f",
        "fhirBaseURL": "https://fhir-test.lamna.example/r4/5f3c2a10-0000-4000-8000-000000000001",
    }
    own: dict[Key, dict[str, Any]] = {
        DEVICE_TEST: {
            "kind": "DeviceTest",
            "launchURL": "https://visits.lamna.example/device-test",
            "parameters": [{"name": "record", "value": "lamna/lamna-test-device-test"}],
        },
        SMS: {"kind": "Sms", "senderNumber": "+18335550101", "parameters": []},
    }
    for key, fields in own.items():
        record = made("+18335550101")[key].to_api()
        digest = record.pop("digest")
        assert record == {"scopes": [], **common, **fields}
        assert digest == digest_of(record)


def test_a_number_that_comes_late_or_changes_leaves_every_launch_as_it_was_copied() -> None:
    without, before, after = made(), made("+18335550101"), made("+18335550102")
    assert {key: before[key] for key in without} == {key: after[key] for key in without} == without
    assert before[SMS].digest != after[SMS].digest


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
    ],
)
def test_the_digest_covers_everything_that_is_copied(change: dict[str, Any]) -> None:
    before = made()
    after = made(None, change.get("organization"), **change.get("spec", {}))
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
    assert [body["metadata"]["name"] for body in system.api.applied] == [
        "lamna-test-patient",
        "lamna-test-provider",
        "lamna-test-device-test",
    ]
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
    assert [body["metadata"]["name"] for body in system.api.applied[3:]] == ["lamna-test-provider"]


async def test_labels_and_annotations_of_others_are_left_alone(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    system.api.change(PROVIDER, {"metadata": {"labels": {"team": "ehr"}, "annotations": {"note": "copied"}}})
    await system.reconcile(KEY)
    assert len(system.api.applied) == 3


async def test_a_lost_record_is_written_again_byte_for_byte(system: System) -> None:
    system.api.put(endpoint_body())
    await system.reconcile(KEY)
    before = system.api.bodies[PROVIDER]
    system.api.remove(PROVIDER)
    await system.reconcile(KEY)
    after = system.api.bodies[PROVIDER]
    assert json.dumps(after["spec"]) == json.dumps(before["spec"])
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


async def test_the_number_has_its_record_from_when_it_is_held_until_it_is_linked_no_more(system: System) -> None:
    number = system.api.put(number_body())
    system.api.put(endpoint_body(spec=LINKED))
    await system.reconcile(KEY)
    assert SMS not in system.api.bodies
    system.api.change(number, {"status": {"phoneNumber": "+18335550101"}})
    await system.reconcile(KEY)
    assert system.api.bodies[SMS]["spec"]["senderNumber"] == "+18335550101"
    system.api.change(KEY, {"spec": {"smsNumberRef": None}})
    await system.reconcile(KEY)
    assert SMS not in system.api.bodies
    assert {PROVIDER, PATIENT, DEVICE_TEST} <= set(system.api.bodies)


async def test_the_record_of_a_number_outlives_a_status_that_was_lost(system: System) -> None:
    """After a restore the number is known again only once it was adopted: the EHR admin has nothing to do with that."""
    number = system.api.put(number_body(status={"phoneNumber": "+18335550101"}))
    system.api.put(endpoint_body(spec=LINKED))
    await system.reconcile(KEY)
    before, writes = system.api.bodies[SMS], len(system.api.applied)
    system.api.put({**system.api.bodies[number], "status": {}})
    await system.reconcile(KEY)
    assert (system.api.bodies[SMS], len(system.api.applied)) == (before, writes)
