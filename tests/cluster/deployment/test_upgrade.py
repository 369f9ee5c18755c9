"""A cluster that ran an earlier version keeps everything when this one is applied over it.

`previous/` holds crds/ and deploy/ of commit 1487ca6, as they were: CRDs, policies, rights and samples; and a record that its
operator wrote. They are applied as its documents said, on the client's side, and the new ones as ours say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.deployment.conftest import a_cluster
from cluster.deployment.rendered import REPOSITORY

from ehr_sandbox.control_plane.assets import Assets

PREVIOUS = Path(__file__).parent / "previous"
RECORD: dict[str, Any] = yaml.safe_load((PREVIOUS / "record.yaml").read_text(encoding="utf-8"))
OPERATOR = "--as=system:serviceaccount:ehr-system:ehr-operator"
LAMNA = "--namespace=lamna"
KINDS = "ehrconnectorconfigs,fhirendpoints,smsnumbers,integrationrecords"
NUMBER = "+18335550142"
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Ready",
    "message": "as the version before left it",
    "lastTransitionTime": "2026-01-31T09:00:00Z",
    "observedGeneration": 1,
}
STATUS: list[dict[str, Any]] = [
    {
        "apiVersion": "ehrconnector.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "status": {"conditions": [CONDITION], "observedGeneration": 1, **more},
    }
    for kind, name, more in (
        ("EHRConnectorConfig", "lamna", {}),
        ("FhirEndpoint", "lamna-test", {}),
        ("SmsNumber", "lamna-sms", {"phoneNumber": NUMBER}),
    )
]


@pytest.fixture
def former(assets: Assets) -> Iterator[Kubectl]:
    """A cluster with the version before, its objects, and the status that its operator wrote."""
    with a_cluster(assets) as running:
        kubectl = Kubectl(running, "ehr-system")
        kubectl.ok("apply", "--kustomize", str(PREVIOUS / "crds"))
        kubectl.ok("wait", "customresourcedefinition", "--all", "--for=condition=Established", "--timeout=60s")
        kubectl.ok("apply", "--kustomize", str(PREVIOUS / "deploy/base"))
        kubectl.ok("apply", "--kustomize", str(PREVIOUS / "deploy/samples"), LAMNA)
        for document in (*STATUS, RECORD):
            written_by_the_operator(kubectl, document)
        yield kubectl


def written_by_the_operator(kubectl: Kubectl, document: dict[str, Any]) -> None:
    """Apply as the operator does, with the rights that it has."""
    subresource = ["--subresource=status"] if "status" in document else []
    command = ("apply", LAMNA, OPERATOR, "--server-side", "--field-manager=ehr-operator", *subresource)
    kubectl.ok(*command, "--filename=-", stdin=yaml.safe_dump(document))


def objects(kubectl: Kubectl) -> dict[str, Any]:
    """Return what an upgrade must leave as it is."""
    items = json.loads(kubectl.ok("get", KINDS, LAMNA, "--output=json"))["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": {
            "uid": item["metadata"]["uid"],
            "spec": item["spec"],
            "status": item.get("status"),
        }
        for item in items
    }


def holds(now: Any, before: Any) -> bool:
    """Whether everything of before is there; new defaults may have come."""
    match before:
        case dict():
            return isinstance(now, dict) and all(key in now and holds(now[key], value) for key, value in before.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  (JSON)
        case _:
            return now == before


def upgrade(kubectl: Kubectl) -> None:
    for folder in ("crds", "deploy/base"):
        kubectl.ok("apply", "--server-side", "--force-conflicts", "--kustomize", str(REPOSITORY / folder))
    kubectl.ok("wait", "customresourcedefinition", "--all", "--for=condition=Established", "--timeout=60s")


def test_an_upgrade_loses_no_object_and_nothing_of_one(former: Kubectl) -> None:
    before = objects(former)
    assert before["SmsNumber/lamna-sms"]["status"]["phoneNumber"] == NUMBER
    assert len(before) == 5

    upgrade(former)

    now = objects(former)
    assert now.keys() == before.keys()
    assert {name for name, value in before.items() if not holds(now[name], value)} == set()


def test_after_an_upgrade_the_former_files_still_apply(former: Kubectl) -> None:
    """Git holds what it held; an organisation must not have to change its files on the day of the upgrade."""
    upgrade(former)

    former.ok("apply", "--kustomize", str(PREVIOUS / "deploy/samples"), LAMNA)
    for document in (*STATUS, RECORD):
        written_by_the_operator(former, document)

    stored = json.loads(former.ok("get", "customresourcedefinitions", "--output=json"))["items"]
    for definition in stored:
        served = {version["name"] for version in definition["spec"]["versions"] if version["served"]}
        assert set(definition["status"]["storedVersions"]) <= served
