"""The CRDs, the admission policy and the operator's rights, installed as GitOps installs them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.waiting import eventually

from ehr_sandbox.control_plane.cluster import ControlPlane

REPOSITORY = Path(__file__).resolve().parents[3]
OPERATOR_NAMESPACE, OPERATOR_ACCOUNT = "ehr-system", "ehr-operator"

RECORD: dict[str, Any] = {
    "apiVersion": "ehrconnector.io/v1alpha1",
    "kind": "IntegrationRecord",
    "metadata": {"name": "lamna-test-provider"},
    "spec": {
        "endpointRef": {"name": "lamna-test"},
        "kind": "Launch",
        "initiatedBy": "Provider",
        "environment": "Test",
        "tenantID": "7f1c4d2e-0a5b-4c6d-8e9f-1a2b3c4d5e6f",
        "fhirBaseURL": "https://fhir-test.lamna.example/r4",
        "launchURL": "https://visits.lamna.example/launch/provider",
        "clientID": "lamna-clinician",
        "systemClientID": "lamna-system",
        "digest": "sha256:" + "0" * 64,
    },
}

Sample = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The shared control plane with everything that a cluster gets before the operator."""
    kubectl = Kubectl(control_plane, OPERATOR_NAMESPACE)
    kubectl.ok("apply", "--kustomize", str(REPOSITORY / "crds"))
    kubectl.ok("apply", "--kustomize", str(REPOSITORY / "deploy" / "base"))
    kubectl.ok("wait", "customresourcedefinition", "--all", "--for=condition=Established", "--timeout=60s")
    # The API server takes a policy up some time after it was stored; until then it lets everyone write.
    dry_run = ("create", "--dry-run=server", "--filename=-")
    assert eventually(lambda: "Forbidden" in kubectl(*dry_run, stdin=yaml.safe_dump(RECORD)).stderr)
    return control_plane


@pytest.fixture
def kubectl(installed: ControlPlane, namespace: str) -> Kubectl:
    """The administrator's kubectl in a namespace of the test's own."""
    return Kubectl(installed, namespace)


@pytest.fixture(scope="session")
def operator_kubeconfig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's kubeconfig: the token of its service account."""
    path = tmp_path_factory.mktemp("operator") / "kubeconfig"
    token = installed.mint_token_now(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT, None, 3600)
    installed.write_kubeconfig(path, token=token)
    return path


@pytest.fixture(scope="session")
def sample() -> Sample:
    """Gives the samples of `deploy/samples` by name, each time as a fresh document."""
    documents = {
        document["metadata"]["name"]: document
        for file in (REPOSITORY / "deploy" / "samples").glob("*.yaml")
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if document["apiVersion"].startswith("ehrconnector.io/")
    }
    return lambda name: copy.deepcopy(documents[name])
