"""`python -m ehr_operator` from its first second, before the CRDs exist, to SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.runtime.conftest import apply_crds, number
from cluster.waiting import eventually
from free_ports import free_port

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress

PATIENCE_S = 30.0
"""A kubelet gives as long before it kills."""


@dataclass
class Operator:
    """A running operator."""

    process: subprocess.Popen[bytes]
    url: str

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return 0, ""


@pytest.fixture
def bare(assets: Assets) -> Iterator[ControlPlane]:
    """A control plane without our CRDs."""
    with running_control_plane(progress=PlainProgress(), assets=assets) as running:
        yield running


@pytest.fixture
def operator(bare: ControlPlane, tmp_path: Path) -> Iterator[Operator]:
    port = free_port()
    key = tmp_path / "key"
    key.write_text("c2VjcmV0")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("EHR_")},
        "KUBECONFIG": str(bare.kubeconfig),
        "EHR_OPERATOR_HOST": "127.0.0.1",
        "EHR_OPERATOR_PORT": str(port),
        "EHR_OPERATOR_NAMESPACE": "default",
        "EHR_OPERATOR_ACS_CREDENTIAL": f"file:{key}",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "ehr_operator"], env=environment, stderr=log)
        yield Operator(process, f"http://127.0.0.1:{port}")
        process.kill()
        process.wait()


def test_it_waits_for_the_crds_says_so_works_once_they_are_there_and_ends_when_told(
    operator: Operator, bare: ControlPlane
) -> None:
    assert eventually(lambda: "CRDs applied" in operator.get("/readyz")[1])
    status, waits_for = operator.get("/readyz")
    assert status == 503
    assert "ehrconnectorconfigs" in waits_for
    assert operator.get("/livez") == (200, "ok\n")
    assert operator.get("/metrics")[0] == 200

    apply_crds(bare)
    assert eventually(lambda: operator.get("/readyz") == (200, "ok\n"))

    kubectl = Kubectl(bare, "default")
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump(number("a", "default")))
    kubectl.ok("wait", "smsnumber/a", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=60s")
    metrics = operator.get("/metrics")[1]
    for name in (
        'controller_runtime_reconcile_total{controller="SmsNumber",result="',
        'controller_runtime_reconcile_time_seconds_count{controller="SmsNumber"}',
        'workqueue_depth{name="SmsNumber"}',
        'workqueue_adds_total{name="SmsNumber"}',
        'workqueue_queue_duration_seconds_count{name="SmsNumber"}',
        'rest_client_requests_total{code="200",method="',
        'leader_election_master_status{name="ehr-operator"} 1.0',
    ):
        assert name in metrics

    operator.process.send_signal(signal.SIGTERM)
    assert operator.process.wait(timeout=PATIENCE_S) == 0


def test_it_ends_when_told_while_it_still_waits_for_the_crds(operator: Operator) -> None:
    assert eventually(lambda: "CRDs applied" in operator.get("/readyz")[1])

    operator.process.send_signal(signal.SIGTERM)

    assert operator.process.wait(timeout=PATIENCE_S) == 0
