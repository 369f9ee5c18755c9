"""Another field manager keeps the resources from Git; the operator works beside it and never on the same field."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import yaml

from ehr_sandbox.demo.layout import NAMESPACE
from ehr_sandbox.demo.play import overlay, resources
from ehr_sandbox.demo.report import StepFailedError
from ehr_sandbox.demo.system import System

LONG = "--timeout=120s"
QUIET_S = 2.0
TRIES = 5
"""What is looked at each minute may be news just then, but not each time."""
INSTANCE = "app.kubernetes.io/instance"
KINDS = ("ehrconnectorconfig", "fhirendpoint", "smsnumber", "integrationrecord")
WRITTEN_BY_PEOPLE = KINDS[:3]
RECORD = "irec/lamna-test-provider"
MANAGERS = {
    "kubectl": (),
    "Argo CD": ("--server-side", "--field-manager=argocd-controller"),
    "Flux": ("--server-side", "--field-manager=kustomize-controller"),
}


async def from_git(system: System) -> list[dict[str, Any]]:
    """Return the overlay as a GitOps tool applies it: everything labelled, and Production promoted by decision."""
    documents = list(yaml.safe_load_all(await overlay(system)))
    for document in documents:
        document["metadata"].setdefault("labels", {})[INSTANCE] = "lamna"
        if document["metadata"]["name"] == "lamna-production":
            document["metadata"]["annotations"] = {"ehrconnector.io/force-promotion": "the demo has no visit yet"}
    return documents


async def ready(system: System) -> None:
    """Wait until everything is, and say what is in the way of what is not."""
    try:
        for kind in KINDS:
            await system.kubectl("wait", kind, "--all", "-n", NAMESPACE, "--for=condition=Ready", LONG)
    except StepFailedError:
        held_up = [
            f"{one['kind']}/{one['name']}: {condition['type']} {condition['reason']}: {condition['message']}"
            for one in await resources(system)
            for condition in one["conditions"]
            if condition["status"] != "True"
        ]
        pytest.fail("\n".join(held_up))


async def versions(system: System) -> dict[str, str]:
    return {
        f"{kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for kind in KINDS
        for item in await system.kubectl.items(kind, NAMESPACE)
    }


async def fields_of_operator(system: System, kind: str) -> set[str]:
    """Return the fields that the operator owns in the objects of a kind, two levels deep."""
    listed = await system.kubectl("get", kind, "-n", NAMESPACE, "-o", "json", "--show-managed-fields")
    owned: set[str] = set()
    for item in json.loads(listed)["items"]:
        for entry in item["metadata"]["managedFields"]:
            if entry["manager"] == "ehr-operator":
                for top, fields in entry["fieldsV1"].items():
                    owned |= {f"{top}.{field}" for field in fields} if top == "f:metadata" else {top}
    return owned


async def acknowledge(system: System, record: str) -> None:
    """Say to have copied a record, as a person does it."""
    kubectl = system.kubectl
    name = await kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    digest = await kubectl("get", record, "-n", NAMESPACE, "-o", "jsonpath={.spec.digest}")
    await kubectl(
        "annotate", record, "-n", NAMESPACE,
        f"ehrconnector.io/acknowledged-digest={digest}", f"ehrconnector.io/acknowledged-by={name}",
    )  # fmt: skip
    await kubectl("wait", record, "-n", NAMESPACE, "--for=condition=Acknowledged", LONG)


@pytest.mark.parametrize("manager", MANAGERS)
async def test_what_git_says_is_applied_waited_for_compared_changed_and_pruned(manager: str, system: System) -> None:
    kubectl, how = system.kubectl, MANAGERS[manager]
    documents = await from_git(system)
    production = next(one for one in documents if one["metadata"]["name"] == "lamna-production")

    async def sync() -> None:
        text = yaml.safe_dump_all(documents)
        await kubectl("apply", "-f", "-", *how, stdin=text)

    async def difference() -> str:
        # A difference, and a conflict over a field, is a failure.
        return await kubectl("diff", "-f", "-", *how, stdin=yaml.safe_dump_all(documents))

    await sync()
    await ready(system)
    assert await difference() == ""

    # The operator owns status and its finalizer, and nothing that Git could say.
    for kind in WRITTEN_BY_PEOPLE:
        assert await fields_of_operator(system, kind) <= {"f:status", "f:metadata.f:finalizers"}
    records = await kubectl.items("integrationrecord", NAMESPACE)
    assert len(records) == 8
    assert not [one for one in records if INSTANCE in one["metadata"]["labels"]], "a tool would prune what Git lacks"

    # To apply the same again changes nothing, and wakes nobody to write.
    async def is_quiet() -> bool:
        before = await versions(system)
        await sync()
        await asyncio.sleep(QUIET_S)
        return await versions(system) == before

    quiet = False
    for _ in range(TRIES):
        quiet = quiet or await is_quiet()
    assert quiet

    # A change goes through without a conflict.
    config = next(one for one in documents if one["kind"] == "EHRConnectorConfig")
    config["spec"]["displayName"] = "Lamna Health"
    await sync()
    await kubectl("wait", "ehrcfg/lamna", "-n", NAMESPACE, "--for=jsonpath={.status.observedGeneration}=2", LONG)
    await ready(system)
    assert await difference() == ""

    # A record that people have copied asks to be copied again, and what it said before stays known; Git sees nothing of it.
    await acknowledge(system, RECORD)
    endpoint = next(one for one in documents if one["metadata"]["name"] == "lamna-test")
    endpoint["spec"]["smart"]["clinicianClientID"] = "another"
    await sync()
    await kubectl("wait", RECORD, "-n", NAMESPACE, "--for=jsonpath={.status.revision}=2", LONG)
    await kubectl("wait", RECORD, "-n", NAMESPACE, "--for=condition=Acknowledged=False", LONG)
    former = json.loads(await kubectl("get", RECORD, "-n", NAMESPACE, "-o", "jsonpath={.status.former}"))
    assert [(one["revision"], one["record"]["clientID"]) for one in former] == [(1, "lamna-clinician")]
    await ready(system)
    assert await difference() == ""

    # What Git holds no more is pruned, with what the operator made of it, and the rest stays.
    documents.remove(production)
    if how:
        await kubectl("delete", "fhirendpoint", "lamna-production", "-n", NAMESPACE, LONG)
    else:
        allowed = "--prune-allowlist=ehrconnector.io/v1alpha1/FhirEndpoint"
        pruned = await kubectl(
            "apply", "-f", "-", "--prune", f"-l={INSTANCE}=lamna", allowed, stdin=yaml.safe_dump_all(documents)
        )
        assert "lamna-production pruned" in pruned
    await kubectl("wait", "irec/lamna-production-provider", "-n", NAMESPACE, "--for=delete", LONG)
    left = {one["metadata"]["name"] for one in await kubectl.items("integrationrecord", NAMESPACE)}
    assert {name for name in left if name.startswith("lamna-test-")} == left
    await ready(system)
    assert await difference() == ""
