"""What the EHR admin copies: the same bytes for the same inputs, and a digest that covers all of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, START, config_spec, endpoint_body, endpoint_spec, finding, number_body
from unit.operator.fhir_endpoint.ehr import System

from ehr_api.conditions import Type
from ehr_api.control import Evidence, RecordEvidence
from ehr_api.digest import digest_of
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_api.v1alpha1.integration_record import IntegrationRecordSpec, IntegrationRecordStatus
from ehr_connector.launch import flow
from ehr_operator.connector_config.document import configuration
from ehr_operator.fhir_endpoint.records import record_keys, records
from ehr_operator.integration_record import IntegrationRecordKind
from ehr_operator.integration_record_sightings import Sightings
from ehr_operator.runtime.model import Finalized, Key, Outcome, State

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


class Records:
    """The kind IntegrationRecord beside its endpoint's kind, on the same cluster and clock."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.sightings = Sightings()
        self.kind = IntegrationRecordKind(system.clock, self.sightings)

    async def reconcile(self, key: Key = PROVIDER) -> Outcome[IntegrationRecordStatus]:
        outcome = await self.kind.reconcile(self.system.api.object(self.kind, key))
        self.system.api.settle(key, outcome)
        return outcome

    async def written(self, client: str) -> Outcome[IntegrationRecordStatus]:
        """Have the record say another client id, and look at it."""
        system = self.system
        if KEY not in system.api.bodies:
            system.api.put(endpoint_body())
        system.api.change(KEY, {"spec": {"smart": {"clinicianClientID": client}}})
        await system.reconcile(KEY)
        system.api.show(PROVIDER)
        return await self.reconcile()

    def annotate(self, **annotations: str | None) -> None:
        named = {f"ehrconnector.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.system.api.change(PROVIDER, {"metadata": {"annotations": named}})

    def spec(self, key: Key = PROVIDER) -> dict[str, Any]:
        return self.system.api.bodies[key]["spec"]


@pytest.fixture
def kept(system: System) -> Records:
    return Records(system)


def clients(outcome: Outcome[IntegrationRecordStatus]) -> list[tuple[int, str | None]]:
    return [(one.revision, one.record.client_id) for one in outcome.status.former]


async def test_a_changed_digest_is_a_new_revision_and_nothing_else_is(kept: Records) -> None:
    revisions = [(await kept.written(client)).status.revision for client in ("a", "a", "b", "b", "a")]
    assert revisions == [1, 1, 2, 2, 3]
    assert list(kept.kind.related(kept.system.api.bodies[PROVIDER])) == [KEY]
    assert await kept.kind.finalize(kept.system.api.object(kept.kind, PROVIDER)) == Finalized()


async def test_an_old_record_stays_valid_for_the_overlap_and_not_a_second_longer(kept: Records) -> None:
    await kept.written("a")
    before = kept.spec()
    outcome = await kept.written("b")
    [former] = outcome.status.former
    assert (former.revision, former.record.to_api()) == (1, before)
    assert former.valid_until == START + timedelta(seconds=OVERLAP_S)
    assert outcome.requeue_after_s == OVERLAP_S
    kept.system.clock.advance(OVERLAP_S - 1)
    assert clients(await kept.reconcile()) == [(1, "a")]
    kept.system.clock.advance(1)
    outcome = await kept.reconcile()
    assert (clients(outcome), outcome.requeue_after_s) == ([], None)


async def test_the_overlap_is_the_endpoints_own_word(kept: Records) -> None:
    kept.system.api.put(endpoint_body(spec={"records": {"overlap": "48h"}}))
    await kept.written("a")
    [former] = (await kept.written("b")).status.former
    assert former.valid_until == START + timedelta(hours=48)
    kept.system.api.change(KEY, {"spec": {"records": {"overlap": "0s"}}})
    assert clients(await kept.written("c")) == [(1, "a")]


async def test_each_of_several_old_records_has_its_own_time_and_one_that_comes_back_is_no_old_one(
    kept: Records,
) -> None:
    for client in ("a", "b", "c"):
        outcome = await kept.written(client)
        kept.system.clock.advance(3600)
    assert clients(outcome) == [(2, "b"), (1, "a")]
    assert clients(await kept.written("a")) == [(3, "c"), (2, "b")]
    for number in range(9):
        outcome = await kept.written(f"client-{number}")
    assert len(outcome.status.former) == 5


async def test_a_restart_between_the_keeping_and_the_change_loses_and_doubles_nothing(kept: Records) -> None:
    await kept.written("a")
    system, before = kept.system, kept.spec()
    system.api.change(KEY, {"spec": {"smart": {"clinicianClientID": "b"}}})
    apply, system.api.apply = system.api.apply, _killed  # pyright: ignore[reportAttributeAccessIssue]  (a process that dies)
    with pytest.raises(KilledError):
        await system.reconcile(KEY)
    system.api.apply = apply
    assert kept.spec() == before
    system.api.relist()
    system.restart()
    await system.reconcile(KEY)
    system.api.relist()
    assert clients(await kept.reconcile()) == [(1, "a")]


class KilledError(Exception):
    """The process died here."""


async def _killed(body: Any) -> Any:
    raise KilledError(body["metadata"]["name"])


async def test_what_somebody_else_wrote_into_a_record_was_never_valid(kept: Records) -> None:
    await kept.written("a")
    for meddling in ({"clientID": "x"}, {"clientID": "x", "digest": "sha256:" + "0" * 64}):
        kept.system.api.change(PROVIDER, {"spec": meddling})
        await kept.system.reconcile(KEY)
        kept.system.api.show(PROVIDER)
        assert clients(await kept.reconcile()) == []


async def test_an_acknowledgement_counts_for_the_record_as_it_is_and_says_who_and_when(kept: Records) -> None:
    outcome = await kept.written("a")
    asked = finding(outcome, Type.ACKNOWLEDGED)
    assert (asked.status, asked.reason) == ("False", "NotAcknowledged")
    assert f"ehrconnector.io/acknowledged-digest={kept.spec()['digest']}" in asked.message

    kept.annotate(acknowledged_digest=kept.spec()["digest"], acknowledged_by="pat")
    outcome = await kept.reconcile()
    assert finding(outcome, Type.ACKNOWLEDGED).status == "True"
    assert [note.reason for note in outcome.notes] == ["RecordAcknowledged"]
    status = outcome.status
    assert (status.acknowledged_by, status.acknowledged_at) == ("pat", START)
    assert status.acknowledged_digest == kept.spec()["digest"]

    kept.system.clock.advance(60)
    again = await kept.reconcile()
    assert (again.status.acknowledged_at, again.notes) == (START, ())


async def test_a_changed_record_asks_for_acknowledgement_again_and_tells_it_once(kept: Records) -> None:
    await kept.written("a")
    first = kept.spec()["digest"]
    kept.annotate(acknowledged_digest=first, acknowledged_by="pat")
    await kept.reconcile()

    outcome = await kept.written("b")
    asked = finding(outcome, Type.ACKNOWLEDGED)
    assert (asked.status, asked.reason) == ("False", "RecordChanged")
    assert "since pat copied it; what stood there before is valid until 2026-03-16 09:00 UTC" in asked.message
    assert [(note.reason, note.warning) for note in outcome.notes] == [("CopyAgain", True)]
    assert outcome.status.acknowledged_digest == first, "it is known what the EHR holds"
    assert outcome.state is State.READY, "what waits is the EHR, not the record"
    assert (await kept.reconcile()).notes == ()

    kept.annotate(acknowledged_digest=kept.spec()["digest"])
    assert finding(await kept.reconcile(), Type.ACKNOWLEDGED).status == "True"


async def test_a_digest_without_a_name_is_no_acknowledgement_and_one_that_is_taken_back_is_none(kept: Records) -> None:
    await kept.written("a")
    kept.annotate(acknowledged_digest=kept.spec()["digest"])
    assert finding(await kept.reconcile(), Type.ACKNOWLEDGED).reason == "AcknowledgerMissing"
    kept.annotate(acknowledged_by="pat")
    await kept.reconcile()
    kept.annotate(acknowledged_digest=None, acknowledged_by=None)
    outcome = await kept.reconcile()
    assert finding(outcome, Type.ACKNOWLEDGED).reason == "NotAcknowledged"
    assert (outcome.status.acknowledged_digest, outcome.status.acknowledged_by) == (None, None)


def seen(name: str, hours: float) -> Evidence:
    moment = START + timedelta(hours=hours)
    return Evidence(records=[RecordEvidence(record=name, last_seen_launch=moment)])


async def test_the_last_launch_is_written_to_the_hour(kept: Records) -> None:
    await kept.written("a")
    assert (await kept.reconcile()).status.last_seen_launch is None
    written: list[datetime | None] = []
    for hours in (0.0, 0.5, 0.99, 1.0, 1.5, 0.2):
        kept.sightings.told(NAMESPACE, seen(PROVIDER.name, hours))
        written.append((await kept.reconcile()).status.last_seen_launch)
    assert written == [START, START, START, START + timedelta(hours=1), START + timedelta(hours=1), written[3]]


async def test_a_launch_that_was_seen_survives_a_restart_of_the_operator(kept: Records) -> None:
    await kept.written("a")
    kept.sightings.told(NAMESPACE, seen(PROVIDER.name, 0))
    await kept.reconcile()
    assert (await Records(kept.system).reconcile()).status.last_seen_launch == START


async def test_records_after_a_restore_are_the_same_bytes_and_nobody_has_to_copy_anything(kept: Records) -> None:
    """A backup brings metadata and spec back, and no status."""
    await kept.written("a")
    kept.annotate(acknowledged_digest=kept.spec()["digest"], acknowledged_by="pat")
    await kept.reconcile()
    before = json.dumps([kept.spec(), kept.system.api.bodies[PROVIDER]["metadata"]["labels"]])
    for body in list(kept.system.api.bodies.values()):
        kept.system.api.put({**body, "status": {}})
    kept.system.restart()
    await kept.system.reconcile(KEY)
    kept.system.api.relist()
    outcome = await Records(kept.system).reconcile()
    assert json.dumps([kept.spec(), kept.system.api.bodies[PROVIDER]["metadata"]["labels"]]) == before
    assert finding(outcome, Type.ACKNOWLEDGED).status == "True"
    assert (outcome.status.revision, outcome.status.former) == (1, [])
