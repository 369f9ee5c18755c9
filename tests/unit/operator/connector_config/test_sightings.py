"""When the connector is asked by which records there were launches, and who hears of the answer."""

from __future__ import annotations

from datetime import timedelta

from unit.operator.conftest import NAMESPACE, START
from unit.operator.connector_config.connector import System

from ehr_api.control import Evidence, RecordEvidence
from ehr_operator.runtime.model import Key

PROVIDER = Key("IntegrationRecord", NAMESPACE, "lamna-test-provider")
PATIENT = Key("IntegrationRecord", NAMESPACE, "lamna-test-patient")


def seen(**hours: float) -> Evidence:
    return Evidence(
        records=[
            RecordEvidence(record=f"lamna-test-{name}", last_seen_launch=START + timedelta(hours=after))
            for name, after in hours.items()
        ]
    )


async def test_the_connector_is_asked_once_a_minute_for_an_organisation_however_often_it_changes(
    system: System,
) -> None:
    time_s = 1000.0
    system.monotonic = lambda: time_s
    system.restart()
    key = system.add()
    for _ in range(10):
        await system.reconcile(key)
        time_s += 1
    assert system.connector.asked_for_evidence == 1
    time_s += 60
    await system.reconcile(key)
    assert system.connector.asked_for_evidence == 2


async def test_a_record_hears_of_a_launch_when_that_is_news_to_the_hour(system: System) -> None:
    time_s = 1000.0
    system.monotonic = lambda: time_s
    system.restart()
    key = system.add()
    woken: list[set[Key]] = []
    for evidence in (seen(provider=0), seen(provider=0.5), seen(provider=1, patient=1), Evidence()):
        system.connector.evidence = evidence
        outcome = await system.reconcile(key)
        woken.append({one for one in outcome.wake if one.kind == "IntegrationRecord"})
        time_s += 60
    assert woken == [{PROVIDER}, set(), {PROVIDER, PATIENT}, set()]
    assert system.sightings.last_seen(PATIENT) == START + timedelta(hours=1)


async def test_a_connector_that_cannot_be_asked_costs_nothing_but_the_answer(system: System) -> None:
    key = system.add()
    await system.reconcile(key)
    system.connector.down = True
    system.restart()
    outcome = await system.reconcile(key)
    assert outcome.wake == ()
    assert outcome.reason == "ConnectorUnavailable"
