"""What a record remembers: its revisions, how long an old one stays valid, who acknowledged it, and when it was last used."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, START, endpoint_body, finding
from unit.operator.fhir_endpoint.ehr import System

from ehr_api.conditions import Type
from ehr_api.control import Evidence, RecordEvidence
from ehr_api.v1alpha1.integration_record import IntegrationRecordStatus
from ehr_operator.integration_record import IntegrationRecordKind
from ehr_operator.integration_record_sightings import Sightings
from ehr_operator.runtime.model import Finalized, Key, Outcome, State

KEY = Key("FhirEndpoint", NAMESPACE, "lamna-test")
PROVIDER = Key("IntegrationRecord", NAMESPACE, "lamna-test-provider")
OVERLAP_S = 336 * 3600


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
