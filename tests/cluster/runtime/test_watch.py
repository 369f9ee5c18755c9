"""Kopf's watch against a real API server that dies and comes back; and what Kopf leaves on objects: nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.runtime.conftest import apply_crds, number

from ehr_operator.kinds import PLURALS
from ehr_operator.runtime.model import Body
from ehr_operator.runtime.watch import Watch
from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress

FOREIGN, OURS = "example.com/other", "ehrconnector.io/sms-number"
NAMESPACE = "default"
LIMIT_S = 60.0


class Seen:
    """What the watch delivered."""

    def __init__(self) -> None:
        self.newest: dict[str, Body] = {}
        self.gone: list[str] = []
        self.threads: set[str] = set()

    def seen(self, kind: str, body: Body) -> None:
        assert kind == body["kind"]
        self.threads.add(threading.current_thread().name)
        self.newest[body["metadata"]["name"]] = body

    def deleted(self, _kind: str, body: Body) -> None:
        self.gone.append(body["metadata"]["name"])


async def eventually(holds: Callable[[], Any]) -> None:
    """Return when `holds` does; fail when it takes too long."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():  # noqa: ASYNC110 (what is awaited happens in another process)
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def own_plane(assets: Assets) -> Iterator[ControlPlane]:
    """A control plane of these tests' own: they kill its API server."""
    with running_control_plane(progress=PlainProgress(), assets=assets) as running:
        apply_crds(running)
        yield running


@pytest.fixture
def own_kubectl(own_plane: ControlPlane) -> Iterator[Kubectl]:
    kubectl = Kubectl(own_plane, NAMESPACE)
    yield kubectl
    kubectl.ok("delete", "smsnumbers", "--all", "--wait=false")


@pytest.fixture
async def seen(
    own_plane: ControlPlane, own_kubectl: Kubectl, use_kubeconfig: Callable[[Path], None]
) -> AsyncGenerator[Seen]:
    """A running watch; one object existed before."""
    apply(own_kubectl, number("before", NAMESPACE))
    use_kubeconfig(own_plane.kubeconfig)
    seen = Seen()
    watch = Watch(PLURALS, seen.seen, seen.deleted)
    ended = watch.start()
    yield seen
    await watch.stop()
    await eventually(lambda: not watch.alive)
    assert ended.exception() is None
    assert connections_to(own_plane) == []


def apply(kubectl: Kubectl, *documents: Body) -> None:
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump_all(documents))


def metadata(kubectl: Kubectl, name: str) -> dict[str, Any]:
    return json.loads(kubectl.ok("get", "smsnumber", name, "--output=json"))["metadata"]


async def test_objects_that_exist_that_change_and_that_go_are_delivered(seen: Seen, own_kubectl: Kubectl) -> None:
    await eventually(lambda: "before" in seen.newest)

    apply(own_kubectl, number("later", NAMESPACE))
    await eventually(lambda: "later" in seen.newest)

    own_kubectl.ok("label", "smsnumber", "later", "team=red")
    await eventually(lambda: seen.newest["later"]["metadata"].get("labels") == {"team": "red"})

    own_kubectl.ok("delete", "smsnumber", "later")
    await eventually(lambda: seen.gone == ["later"])
    assert seen.threads == {threading.main_thread().name}


async def test_kopf_leaves_nothing_on_objects(seen: Seen, own_kubectl: Kubectl) -> None:
    apply(own_kubectl, number("plain", NAMESPACE))
    await eventually(lambda: "plain" in seen.newest)
    own_kubectl.ok("patch", "smsnumber", "plain", "--type=merge", '--patch={"spec":{"areaCode":"833"}}')
    await eventually(lambda: seen.newest["plain"]["metadata"]["generation"] == 2)
    await asyncio.sleep(1.0)

    after = metadata(own_kubectl, "plain")
    assert "finalizers" not in after
    assert set(after.get("annotations", {})) == {"kubectl.kubernetes.io/last-applied-configuration"}
    assert after["resourceVersion"] == seen.newest["plain"]["metadata"]["resourceVersion"]


async def test_kopf_takes_no_finalizer_away(seen: Seen, own_kubectl: Kubectl) -> None:
    """A pitfall of Kopf: with other handlers it strips finalizers that no handler of its own requires."""
    apply(own_kubectl, number("held", NAMESPACE, finalizers=[FOREIGN, OURS]))
    await eventually(lambda: "held" in seen.newest)
    own_kubectl.ok("delete", "smsnumber", "held", "--wait=false")
    await eventually(lambda: "deletionTimestamp" in seen.newest["held"]["metadata"])
    await asyncio.sleep(1.0)

    held = metadata(own_kubectl, "held")["finalizers"]
    own_kubectl.ok("patch", "smsnumber", "held", "--type=merge", '--patch={"metadata":{"finalizers":null}}')
    await eventually(lambda: "held" in seen.gone)
    assert held == [FOREIGN, OURS]


@pytest.mark.parametrize("ending", ["kill", "restart"])
async def test_the_watch_survives_the_end_of_the_api_server(
    seen: Seen, own_plane: ControlPlane, own_kubectl: Kubectl, ending: str
) -> None:
    await eventually(lambda: "before" in seen.newest)
    before = own_plane.pids[Binary.KUBE_APISERVER]

    if ending == "kill":
        own_plane.kill_component(Binary.KUBE_APISERVER)
        await eventually(lambda: own_plane.pids[Binary.KUBE_APISERVER] != before)
    else:
        await own_plane.restart_api_server()
    await eventually(lambda: own_kubectl("get", "--raw=/readyz").returncode == 0)
    document = yaml.safe_dump(number("after", NAMESPACE))
    await eventually(lambda: own_kubectl("apply", "--filename=-", stdin=document).returncode == 0)

    await eventually(lambda: "after" in seen.newest)
    own_kubectl.ok("delete", "smsnumber", "after")
    await eventually(lambda: "after" in seen.gone)


async def test_a_stop_ends_the_thread_in_time(
    own_plane: ControlPlane, own_kubectl: Kubectl, use_kubeconfig: Callable[[Path], None]
) -> None:
    apply(own_kubectl, number("before", NAMESPACE))
    use_kubeconfig(own_plane.kubeconfig)
    seen = Seen()
    watch = Watch(PLURALS, seen.seen, seen.deleted)
    ended = watch.start()
    await eventually(lambda: seen.newest)
    assert watch.alive

    async with asyncio.timeout(LIMIT_S):
        await watch.stop()

    await eventually(lambda: not watch.alive)
    await eventually(ended.done)
    assert ended.exception() is None
    assert connections_to(own_plane) == []


def connections_to(plane: ControlPlane) -> list[str]:
    """Return the connections of this process to an API server; one that was only forgotten stands until it is collected."""
    port = urlsplit(plane.server_url).port
    return [str(one) for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == port]
