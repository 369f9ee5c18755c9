"""The CRDs on the shared control plane, and the operator's client of its API server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from cluster.control_plane.kubectl import Kubectl
from kubernetes.aio.config import kube_config

from ehr_api.meta import API_VERSION
from ehr_operator.kinds import PLURALS
from ehr_operator.runtime.kube import Kube
from ehr_operator.runtime.metrics import Metrics
from ehr_sandbox.control_plane.cluster import ControlPlane

CRDS = Path(__file__).resolve().parents[3] / "crds"
NUMBER = "SmsNumber"


def apply_crds(control_plane: ControlPlane) -> None:
    """Apply the CRDs and wait until the API server serves them."""
    kubectl = Kubectl(control_plane, "default")
    kubectl.ok("apply", "--kustomize", str(CRDS))
    kubectl.ok("wait", "customresourcedefinition", "--all", "--for=condition=Established", "--timeout=60s")


def number(name: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    """Return an SmsNumber as its author writes it."""
    return {
        "apiVersion": API_VERSION,
        "kind": NUMBER,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"configRef": {"name": "lamna"}, "countryCode": "US", "numberType": "TollFree"},
    }


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The shared control plane with our CRDs."""
    apply_crds(control_plane)
    return control_plane


@pytest.fixture
def kubectl(installed: ControlPlane, namespace: str) -> Kubectl:
    """The administrator's kubectl in a namespace of the test's own."""
    return Kubectl(installed, namespace)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def use_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let the operator's code in this process use a kubeconfig; the library has read the environment at its import."""

    def use(path: Path) -> None:
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))

    return use


@pytest.fixture
async def kube(
    installed: ControlPlane, metrics: Metrics, use_kubeconfig: Callable[[Path], None]
) -> AsyncGenerator[Kube]:
    """The operator's client, with the administrator's rights."""
    use_kubeconfig(installed.kubeconfig)
    kube = Kube(PLURALS, metrics)
    yield kube
    await kube.close()
