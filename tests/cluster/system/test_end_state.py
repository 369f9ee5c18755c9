"""Whatever the order and whoever dies: the same end state, and one purchase."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
import yaml

from ehr_sandbox.demo.layout import NAMESPACE
from ehr_sandbox.demo.play import apply, ledger_of, overlay, records_written, resources, resources_ready
from ehr_sandbox.demo.system import System

KILLS = 10
HEALS = "--timeout=60s"
"""Seconds in rest; no back-off of minutes would be over by then on a busy machine either."""


async def test_deleting_all_and_applying_in_reverse_order_gives_the_same_state_and_buys_nothing(system: System) -> None:
    await apply(system)
    before = await _end_state(system)
    namespace, *objects = list(yaml.safe_load_all(await overlay(system)))
    await system.kubectl("delete", "-f", "-", "--timeout=60s", stdin=yaml.safe_dump_all(objects))

    await system.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(namespace))
    for document in reversed(objects):
        await system.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))

    assert await _end_state(system) == before
    assert await _purchases(system) == 1


@pytest.mark.parametrize("seed", [20261123])
async def test_killing_operator_and_connector_at_ten_random_moments_each_changes_nothing(
    system: System, seed: int
) -> None:
    moments = random.Random(seed)
    victims = ["operator", "connector"] * KILLS
    moments.shuffle(victims)

    await apply(system)
    for victim in victims:
        await asyncio.sleep(moments.uniform(0.0, 2.5))
        system.programs[victim].kill()

    state = await _end_state(system)
    assert await _purchases(system) == 1
    assert system.programs["operator"].restarts >= KILLS - 2
    assert system.programs["connector"].restarts >= KILLS - 2
    await system.kubectl("delete", "-f", "-", "--timeout=60s", stdin=await overlay(system))
    await apply(system)
    assert await _end_state(system) == state


async def test_what_is_missing_is_named_and_heals_by_itself_when_it_appears(system: System) -> None:
    namespace, *objects = list(yaml.safe_load_all(await overlay(system)))
    by_name = {document["metadata"]["name"]: yaml.safe_dump(document) for document in objects}
    kubectl = system.kubectl

    async def ready_message(resource: str) -> str:
        path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].message}'
        return await kubectl("get", resource, "-n", NAMESPACE, path)

    await kubectl("apply", "-f", "-", stdin=yaml.safe_dump(namespace) + "---\n" + by_name["lamna-test"])
    await kubectl("wait", "fhirendpoint/lamna-test", "-n", NAMESPACE, "--for=condition=Reconciling", HEALS)
    assert "EHRConnectorConfig 'lamna'" in await ready_message("fhirendpoint/lamna-test")

    await kubectl("apply", "-f", "-", stdin=by_name["lamna"])
    waits = '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=SmsNumberNotFound'
    await kubectl("wait", "fhirendpoint/lamna-test", "-n", NAMESPACE, waits, HEALS)
    assert "SmsNumber 'lamna-sms'" in await ready_message("fhirendpoint/lamna-test")

    await kubectl("apply", "-f", "-", stdin=by_name["lamna-sms"])
    await kubectl("wait", "fhirendpoint/lamna-test", "-n", NAMESPACE, "--for=condition=Ready", HEALS)


async def test_the_operator_acts_under_its_own_service_account_and_is_refused_nothing(system: System) -> None:
    await apply(system)
    await resources_ready(system)

    log = system.programs["operator"].program.log.read_text(encoding="utf-8")
    assert "Forbidden" not in log
    managers = await system.kubectl(
        "get", "fhirendpoint", "lamna-test", "-n", NAMESPACE, "-o", "json", "--show-managed-fields"
    )
    applied = {entry["manager"] for entry in json.loads(managers)["metadata"]["managedFields"]}
    assert applied == {"kubectl-client-side-apply", "ehr-operator"}


async def _end_state(system: System) -> dict[str, Any]:
    """Everything that must be equal: conditions without times, and records byte for byte."""
    await resources_ready(system)
    await records_written(system)
    conditions = {
        f"{resource['kind']}/{resource['name']}: {condition['type']}": (
            condition["status"],
            condition["reason"],
            condition["message"],
        )
        for resource in await resources(system)
        for condition in resource["conditions"]
    }
    records = {
        record["metadata"]["name"]: json.dumps([record["metadata"]["labels"], record["spec"]])
        for record in await system.kubectl.items("integrationrecords", NAMESPACE)
    }
    return conditions | records


async def _purchases(system: System) -> int:
    return len((await ledger_of(system))["purchases"])
