"""Two operators, each a process: one acts, the other stands by and takes over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.runtime.conftest import apply_crds, number
from cluster.waiting import eventually
from free_ports import free_port

from ehr_operator.runtime.lease import LEASE_S, RENEW_DEADLINE_S, TAKE_OVER_S
from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress

LEADS = 'leader_election_master_status{name="ehr-operator"} 1.0'
STANDS_BY = 'leader_election_master_status{name="ehr-operator"} 0.0'
RECONCILED = 'controller_runtime_reconcile_total{controller="SmsNumber"'
PROMISED_S = 15.0
"""From kill -9 of the leader until another one reconciles; the periods of the Lease leave the rest to a slow machine."""
TRIES = 3
"""Takeovers that are timed until one keeps the promise: a machine that is busy with other things may spoil one."""
PATIENCE_S = 30.0
"""A kubelet gives a process as long to end before it kills it."""


@dataclass
class Operator:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> str:
        """The body of an answer with status 200, else nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""


Start = Callable[[str], Operator]


@pytest.fixture(scope="module")
def plane(assets: Assets) -> Iterator[ControlPlane]:
    """A control plane of its own: an operator looks at every namespace."""
    with running_control_plane(progress=PlainProgress(), assets=assets) as running:
        apply_crds(running)
        yield running


@pytest.fixture
def kubectl(plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl in a namespace without objects and without a Lease."""
    kubectl = Kubectl(plane, "default")
    yield kubectl
    kubectl.ok("delete", "lease", "ehr-operator", "--ignore-not-found")
    for name in kubectl.ok("get", "smsnumbers", "--output=name").split():
        kubectl("patch", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}')
        kubectl.ok("delete", name)


@pytest.fixture
def start(plane: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> Iterator[Start]:
    """Starts an operator under an identity, and ends it with the test."""
    del kubectl  # it cleans up after operators that have ended: one that lives would put its finalizer back
    key = tmp_path / "key"
    key.write_text("c2VjcmV0")
    started: list[subprocess.Popen[bytes]] = []

    def begin(identity: str) -> Operator:
        port = free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EHR_")},
            "KUBECONFIG": str(plane.kubeconfig),
            "EHR_OPERATOR_HOST": "127.0.0.1",
            "EHR_OPERATOR_PORT": str(port),
            "EHR_OPERATOR_ACS_CREDENTIAL": f"file:{key}",
            "EHR_OPERATOR_NAMESPACE": "default",
            "EHR_OPERATOR_IDENTITY": identity,
        }
        log = tmp_path / f"{len(started)}-{identity}"
        with log.open("wb") as stderr:
            process = subprocess.Popen([sys.executable, "-m", "ehr_operator"], env=environment, stderr=stderr)
        started.append(process)
        return Operator(process, f"http://127.0.0.1:{port}", log)

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def pair(start: Start, kubectl: Kubectl) -> tuple[Operator, Operator]:
    """A leader and one that stands by."""
    leader = start("a")
    assert eventually(lambda: LEADS in leader.get("/metrics"))
    assert lease(kubectl)["holderIdentity"] == "a"
    standby = start("b")
    assert eventually(lambda: standby.get("/readyz") == "ok\n")
    return leader, standby


def lease(kubectl: Kubectl) -> dict[str, Any]:
    return json.loads(kubectl.ok("get", "lease", "ehr-operator", "--output=json"))["spec"]


def apply(kubectl: Kubectl, name: str) -> None:
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump(number(name, "default")))


def is_reconciled(kubectl: Kubectl, name: str) -> None:
    kubectl.ok("wait", f"smsnumber/{name}", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=60s")


def test_who_stands_by_is_ready_and_takes_over_soon_after_the_leader_was_killed(
    pair: tuple[Operator, Operator], start: Start, kubectl: Kubectl
) -> None:
    leader, standby = pair
    apply(kubectl, "before")
    is_reconciled(kubectl, "before")
    metrics = standby.get("/metrics")
    assert STANDS_BY in metrics
    assert RECONCILED not in metrics
    assert lease(kubectl)["holderIdentity"] == "a"

    took_s: list[float] = []
    for following in range(TRIES):
        apply(kubectl, f"waits-{following}")
        killed_at_s = time.monotonic()
        leader.process.kill()
        assert eventually(lambda standby=standby: RECONCILED in standby.get("/metrics"))
        took_s.append(time.monotonic() - killed_at_s)
        if took_s[-1] < PROMISED_S:
            break
        leader, standby = standby, start(f"follower-{following}")
        assert eventually(lambda standby=standby: standby.get("/readyz") == "ok\n")

    assert LEADS in standby.get("/metrics")
    assert min(took_s) < PROMISED_S, took_s
    assert min(took_s) > LEASE_S - RENEW_DEADLINE_S, "no follower acts while the leader might"
    assert TAKE_OVER_S < PROMISED_S
    apply(kubectl, "after")
    is_reconciled(kubectl, "after")
    assert lease(kubectl)["leaseTransitions"] == len(took_s)


def test_a_leader_that_is_told_to_stop_hands_over_at_once(pair: tuple[Operator, Operator], kubectl: Kubectl) -> None:
    leader, standby = pair
    standby.process.send_signal(signal.SIGSTOP)

    leader.process.send_signal(signal.SIGTERM)
    assert leader.process.wait(timeout=PATIENCE_S) == 0
    assert lease(kubectl)["holderIdentity"] == "", "whoever looks next takes it, and waits for nothing"

    standby.process.send_signal(signal.SIGCONT)
    assert eventually(lambda: LEADS in standby.get("/metrics"))
    apply(kubectl, "after")
    is_reconciled(kubectl, "after")


def test_a_leader_that_was_suspended_for_longer_than_the_lease_writes_nothing_more_and_ends(
    pair: tuple[Operator, Operator], kubectl: Kubectl
) -> None:
    leader, standby = pair
    apply(kubectl, "before")
    is_reconciled(kubectl, "before")

    leader.process.send_signal(signal.SIGSTOP)
    assert eventually(lambda: lease(kubectl)["holderIdentity"] == "b")
    standby.process.kill()
    standby.process.wait()
    apply(kubectl, "meanwhile")  # from here on only the former leader could touch it
    leader.process.send_signal(signal.SIGCONT)

    assert leader.process.wait(timeout=PATIENCE_S) == 1
    untouched = json.loads(kubectl.ok("get", "smsnumber", "meanwhile", "--output=json"))
    assert "finalizers" not in untouched["metadata"]
    assert untouched["status"] == {"observedGeneration": -1}


def test_the_next_process_of_a_pod_leads_without_waiting_for_the_lease_to_end(start: Start, kubectl: Kubectl) -> None:
    leader = start("a")
    assert eventually(lambda: LEADS in leader.get("/metrics"))
    leader.process.kill()
    leader.process.wait()

    following = start("a")
    assert eventually(lambda: LEADS in following.get("/metrics"))

    assert "standing by" not in following.log.read_text(), "it was elected at the first look"
    apply(kubectl, "after")
    is_reconciled(kubectl, "after")
