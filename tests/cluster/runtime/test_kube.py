"""The operator's client against a real API server: what is written, what is refused, and who owns it afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.runtime.conftest import NUMBER, number

from ehr_api.v1alpha1.sms_number import SmsNumberSpec, SmsNumberStatus
from ehr_operator.kinds import PLURALS
from ehr_operator.runtime import kube as kube_module
from ehr_operator.runtime.kube import ForbiddenError, Kube
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, ConflictError, Key, Object, parse_object
from ehr_sandbox.control_plane.cluster import ControlPlane

Number = Object[SmsNumberSpec, SmsNumberStatus]
FOREIGN, OURS = "example.com/other", "ehrconnector.io/sms-number"


@pytest.fixture
def key(kubectl: Kubectl, namespace: str) -> Key:
    """An SmsNumber as somebody has applied it."""
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump(number("a", namespace, labels={"team": "blue"})))
    return Key(NUMBER, namespace, "a")


async def read(kube: Kube, key: Key) -> Body:
    body = await kube.read(key)
    assert body is not None
    return body


async def parsed(kube: Kube, key: Key) -> Number:
    return parse_object(NUMBER, await read(kube, key), SmsNumberSpec, SmsNumberStatus)


def status_body(key: Key, status: dict[str, Any]) -> Body:
    metadata = {"name": key.name, "namespace": key.namespace}
    return {"apiVersion": "ehrconnector.io/v1alpha1", "kind": NUMBER, "metadata": metadata, "status": status}


def bought(obj: Number) -> SmsNumberStatus:
    return obj.status.model_copy(update={"phone_number": "+18005550100", "observed_generation": 1})


async def test_what_is_not_there_is_read_as_nothing(kube: Kube, namespace: str) -> None:
    assert await kube.read(Key(NUMBER, namespace, "missing")) is None


async def test_the_objects_of_one_namespace_are_listed_as_they_stand(
    kube: Kube, key: Key, kubectl: Kubectl, namespace: str
) -> None:
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump(number("b", namespace)))

    listed = await kube.list_now(NUMBER, namespace)

    assert [body["metadata"]["name"] for body in listed] == [key.name, "b"]
    assert await kube.list_now(NUMBER, "nowhere") == []


# The intent


async def test_an_intent_is_written_when_nobody_changed_the_object(kube: Kube, key: Key) -> None:
    obj = await parsed(kube, key)

    written = await kube.write_intent(obj, bought(obj))

    assert written.status.phone_number == "+18005550100"
    assert written.resource_version != obj.resource_version
    assert (await parsed(kube, key)).status == written.status


@pytest.mark.parametrize(
    "change", [("label", "team=red"), ("patch", "--type=merge", '--patch={"spec":{"areaCode":"833"}}')]
)
async def test_an_intent_is_refused_when_the_object_changed_since_it_was_read(
    kube: Kube, key: Key, kubectl: Kubectl, change: tuple[str, ...]
) -> None:
    obj = await parsed(kube, key)
    verb, *rest = change
    kubectl.ok(verb, "smsnumber", key.name, *rest, *(["--overwrite"] if verb == "label" else []))

    with pytest.raises(ConflictError):
        await kube.write_intent(obj, bought(obj))

    assert (await parsed(kube, key)).status.phone_number is None


async def test_of_two_intents_on_the_same_version_one_is_refused(kube: Kube, key: Key) -> None:
    obj = await parsed(kube, key)
    other = obj.status.model_copy(update={"phone_number": "+18005550199"})

    results = await asyncio.gather(
        kube.write_intent(obj, bought(obj)), kube.write_intent(obj, other), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "Object"]


async def test_an_intent_on_an_object_that_is_gone_is_refused(kube: Kube, key: Key, kubectl: Kubectl) -> None:
    obj = await parsed(kube, key)
    kubectl.ok("delete", "smsnumber", key.name)

    with pytest.raises(ConflictError):
        await kube.write_intent(obj, bought(obj))

    assert await kube.read(key) is None


async def test_we_alone_own_the_status_and_nothing_else(kube: Kube, key: Key, kubectl: Kubectl) -> None:
    obj = await parsed(kube, key)
    status = bought(obj)
    await kube.write_intent(obj, status)
    await kube.apply_status(status_body(key, status.to_api()))

    document = json.loads(kubectl.ok("get", "smsnumber", key.name, "--output=json", "--show-managed-fields"))
    owners = {
        entry["manager"]: (entry["operation"], entry.get("subresource"), sorted(entry["fieldsV1"]))
        for entry in document["metadata"]["managedFields"]
    }
    assert owners.pop("ehr-operator") == ("Apply", "status", ["f:status"])
    assert all(subresource is None for _, subresource, _ in owners.values())


async def test_a_status_after_an_intent_removes_only_what_it_no_longer_names(kube: Kube, key: Key) -> None:
    obj = await parsed(kube, key)
    written = await kube.write_intent(obj, bought(obj))
    before = await read(kube, key)

    after = await kube.apply_status(status_body(key, {**written.status.to_api(), "lastHandledReconcileAt": "now"}))

    assert after["status"] == before["status"] | {"lastHandledReconcileAt": "now"}
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == {"team": "blue"}

    last = await kube.apply_status(status_body(key, {"observedGeneration": 1}))
    assert last["status"] == {"observedGeneration": 1, "conditions": []} or last["status"] == {"observedGeneration": 1}


async def test_our_own_writes_are_told_at_once(kube: Kube, key: Key) -> None:
    told: list[tuple[str, str]] = []
    kube.on_write = lambda kind, body: told.append((kind, body["metadata"]["resourceVersion"]))
    obj = await parsed(kube, key)

    written = await kube.write_intent(obj, bought(obj))

    assert told == [(NUMBER, written.resource_version)]


# Finalizers


async def test_finalizers_are_replaced_when_nobody_changed_the_object(kube: Kube, key: Key) -> None:
    body = await kube.patch_finalizers(await read(kube, key), NUMBER, [FOREIGN, OURS])
    assert body["metadata"]["finalizers"] == [FOREIGN, OURS]

    body = await kube.patch_finalizers(body, NUMBER, [])
    assert "finalizers" not in (await read(kube, key))["metadata"]


async def test_finalizers_are_not_replaced_when_somebody_changed_the_object(
    kube: Kube, key: Key, kubectl: Kubectl
) -> None:
    stale = await read(kube, key)
    patch = json.dumps({"metadata": {"finalizers": [FOREIGN]}})
    kubectl.ok("patch", "smsnumber", key.name, "--type=merge", f"--patch={patch}")

    with pytest.raises(ConflictError):
        await kube.patch_finalizers(stale, NUMBER, [OURS])

    body = await read(kube, key)
    assert body["metadata"]["finalizers"] == [FOREIGN]
    await kube.patch_finalizers(body, NUMBER, [])


async def test_finalizers_of_an_object_that_is_gone_are_a_conflict(kube: Kube, key: Key, kubectl: Kubectl) -> None:
    stale = await read(kube, key)
    kubectl.ok("delete", "smsnumber", key.name)

    with pytest.raises(ConflictError):
        await kube.patch_finalizers(stale, NUMBER, [OURS])


# Lists


async def test_a_list_goes_on_over_all_pages(
    kube: Kube, metrics: Metrics, kubectl: Kubectl, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_module, "_PAGE", 2)
    names = [f"n{index}" for index in range(5)]
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump_all(number(name, namespace) for name in names))

    bodies: list[Body] = []
    version = await kube.list_all(NUMBER, bodies.append)

    listed = [body["metadata"] for body in bodies if body["metadata"]["namespace"] == namespace]
    assert [metadata["name"] for metadata in listed] == names
    assert version >= max(int(metadata["resourceVersion"]) for metadata in listed)
    requests = metrics.registry.get_sample_value("rest_client_requests_total", {"method": "GET", "code": "200"})
    assert requests is not None
    assert requests >= 3


# Leader election


async def test_who_may_not_write_reads_and_sends_no_write(kube: Kube, key: Key) -> None:
    obj = await parsed(kube, key)

    def forbid() -> None:
        raise ConflictError("another process may lead")

    kube.before_write = forbid
    with pytest.raises(ConflictError, match="another process"):
        await kube.write_intent(obj, bought(obj))
    with pytest.raises(ConflictError, match="another process"):
        await kube.patch_finalizers(obj.body, NUMBER, [OURS])
    with pytest.raises(ConflictError, match="another process"):
        await kube.create_event(key.namespace, {})

    assert (await read(kube, key))["metadata"]["resourceVersion"] == obj.resource_version


async def test_a_lease_is_created_once_and_replaced_only_as_it_was_read(kube: Kube, namespace: str) -> None:
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-03-02T09:00:00.000000Z"},
    }
    assert await kube.read_lease(namespace, "a", timeout_s=3.0) is None
    created = await kube.create_lease(body, timeout_s=3.0)
    with pytest.raises(ConflictError):
        await kube.create_lease(body, timeout_s=3.0)

    replaced = await kube.replace_lease({**created, "spec": {**body["spec"], "holderIdentity": ""}}, timeout_s=3.0)
    with pytest.raises(ConflictError):
        await kube.replace_lease(created, timeout_s=3.0)

    assert await kube.read_lease(namespace, "a", timeout_s=3.0) == replaced
    assert replaced["spec"].get("holderIdentity", "") == ""


# Credentials


async def test_a_renewed_token_file_is_used(
    installed: ControlPlane,
    kubectl: Kubectl,
    key: Key,
    tmp_path: Path,
    use_kubeconfig: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubectl.ok("create", "serviceaccount", "operator")
    kubectl.ok(
        "create", "rolebinding", "operator", "--clusterrole=cluster-admin", f"--serviceaccount={key.namespace}:operator"
    )
    token, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    token.write_text("expired")
    installed.write_kubeconfig(kubeconfig, token_file=token)
    use_kubeconfig(kubeconfig)
    kube = Kube(PLURALS, Metrics())
    try:
        with pytest.raises(ForbiddenError):
            await kube.read(key)

        token.write_text(installed.mint_token_now(key.namespace, "operator", None, 600))
        monkeypatch.setattr(kube_module, "RELOAD_AFTER", -kube_module.RELOAD_AFTER)

        assert (await read(kube, key))["metadata"]["name"] == key.name
    finally:
        await kube.close()
