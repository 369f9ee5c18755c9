"""`python -m ehr_operator plan` against a real API server: what it tells after a change of the YAML, and that it only reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.runtime.conftest import apply_crds

from ehr_api.admission import OPERATOR
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_operator.fhir_endpoint.records import record_body, records
from ehr_operator.runtime.model import Key
from ehr_sandbox.control_plane.cluster import ControlPlane

REPOSITORY = Path(__file__).resolve().parents[3]
KINDS = "ehrconnectorconfigs,fhirendpoints,smsnumbers,integrationrecords"
NUMBER = "+18335550101"
AS_OPERATOR = (f"--as={OPERATOR}", "--as-group=system:masters")
"""The operator's name, which the admission policy asks for, and every right."""


@dataclass
class Hospital:
    """A namespace, its YAML in a folder, and a kubeconfig that may do nothing but read."""

    kubectl: Kubectl
    namespace: str
    folder: Path
    environment: dict[str, str]

    def plan(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command as somebody who may only read."""
        return subprocess.run(
            [sys.executable, "-m", "ehr_operator", "plan", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def told(self, *arguments: str) -> tuple[int, set[tuple[str, str]]]:
        """Return the exit status, and what happens to which object."""
        done = self.plan("-f", str(self.folder), "-n", self.namespace, "-o", "json", *arguments)
        assert done.stderr == ""
        effects: list[dict[str, Any]] = json.loads(done.stdout)["effects"]
        return done.returncode, {(effect["action"], effect["object"]["name"]) for effect in effects}

    def change(self, file: str, before: str, after: str) -> None:
        """Change the YAML."""
        path = self.folder / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def apply(self) -> None:
        """Apply the YAML, as GitOps does."""
        self.kubectl.ok("apply", f"--filename={self.folder}")

    def operate(self) -> None:
        """Write what the operator would have written by now: a number that is held, endpoints that serve, and records."""
        self._status("smsnumbers/lamna-sms", {"phoneNumber": NUMBER}, "Verified", "Provisioned", "Ready")
        self._status("fhirendpoints/lamna-test", {}, "Validated", "Promoted", "Ready")
        bodies = json.loads(self.kubectl.ok("get", "ehrconnectorconfigs,fhirendpoints", "--output=json"))["items"]
        [config] = [body for body in bodies if body["kind"] == "EHRConnectorConfig"]
        organization = EHRConnectorConfigSpec.model_validate(config["spec"])
        for body in bodies:
            if body["kind"] == "FhirEndpoint":
                owner = Key("FhirEndpoint", self.namespace, body["metadata"]["name"])
                wanted = records(owner, FhirEndpointSpec.model_validate(body["spec"]), organization, NUMBER)
                text = yaml.safe_dump_all(
                    record_body(key, record, owner, body["metadata"]["uid"]) for key, record in wanted.items()
                )
                self.kubectl.ok("apply", "--filename=-", *AS_OPERATOR, stdin=text)

    def versions(self) -> dict[str, str]:
        """Return the resource version of each object."""
        bodies = json.loads(self.kubectl.ok("get", f"{KINDS},events,leases", "--output=json"))["items"]
        return {f"{body['kind']}/{body['metadata']['name']}": body["metadata"]["resourceVersion"] for body in bodies}

    def _status(self, name: str, status: dict[str, Any], *conditions: str) -> None:
        moment = "2026-03-02T08:30:00Z"
        standing = [
            {"type": type_, "status": "True", "reason": type_, "message": "", "lastTransitionTime": moment}
            for type_ in conditions
        ]
        patch = json.dumps({"status": {**status, "observedGeneration": 1, "conditions": standing}})
        self.kubectl.ok("patch", name, "--subresource=status", "--type=merge", f"--patch={patch}")


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The shared control plane with the CRDs, and a role that reads our kinds."""
    kubectl = Kubectl(control_plane, "default")
    apply_crds(control_plane)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "plan-reader"},
        "rules": [{"apiGroups": ["ehrconnector.io"], "resources": KINDS.split(","), "verbs": ["get", "list"]}],
    }
    kubectl.ok("apply", "--filename=-", stdin=yaml.safe_dump(role))
    return control_plane


@pytest.fixture
def hospital(installed: ControlPlane, namespace: str, tmp_path: Path) -> Hospital:
    kubectl = Kubectl(installed, namespace)
    kubectl.ok("create", "serviceaccount", "reader")
    binding = ("--clusterrole=plan-reader", f"--serviceaccount={namespace}:reader")
    kubectl.ok("create", "clusterrolebinding", f"plan-reader-{namespace}", *binding)
    kubeconfig = tmp_path / "kubeconfig"
    token = installed.mint_token_now(namespace, "reader", None, 3600)
    installed.write_kubeconfig(kubeconfig, token=token)
    folder = tmp_path / "git"
    folder.mkdir()
    for file in ("config.yaml", "endpoints.yaml", "number.yaml"):
        shutil.copy(REPOSITORY / "deploy" / "samples" / file, folder)
    path = f"{installed.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
    return Hospital(kubectl, namespace, folder, {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path})


def test_what_a_change_of_the_yaml_would_do_is_told_and_nothing_is_written(hospital: Hospital) -> None:
    status, effects = hospital.told()
    assert status == 0
    assert {("NumberBought", "lamna-sms"), ("EndpointAdded", "lamna-test")} < effects

    hospital.apply()
    hospital.operate()
    assert hospital.told() == (0, {("NumberKept", "lamna-sms")})

    hospital.change("config.yaml", "https://visits.lamna.example", "https://join.lamna.example")
    hospital.change("number.yaml", "state: Verified", "state: Rejected")
    before = hospital.versions()
    status, effects = hospital.told()

    assert status == 2
    assert effects == {
        ("NumberKept", "lamna-sms"),
        ("ConfigurationChanged", "lamna"),
        *(("SmsLost", f"lamna-{environment}") for environment in ("test", "production")),
        *(
            ("RecordChanged", f"lamna-{environment}-{by}")
            for environment in ("test", "production")
            for by in ("patient", "provider", "device-test")
        ),
    }
    assert hospital.versions() == before


def test_what_the_plan_calls_refused_the_api_server_refuses_in_the_same_words(hospital: Hospital) -> None:
    hospital.apply()
    hospital.change("endpoints.yaml", "https://fhir-test.lamna.example", "https://fhir-new.lamna.example")

    done = hospital.plan("-f", "endpoints.yaml", "-n", hospital.namespace, "-o", "json")

    refused = [effect for effect in json.loads(done.stdout)["effects"] if effect["action"] == "Refused"]
    assert done.returncode == 2
    assert [effect["object"]["name"] for effect in refused] == ["lamna-test"]
    words = refused[0]["message"].partition("spec.baseURL ")[2]
    assert words in hospital.kubectl("apply", f"--filename={hospital.folder}").stderr


def test_prune_tells_what_the_yaml_no_longer_holds(hospital: Hospital) -> None:
    hospital.apply()
    hospital.operate()
    (hospital.folder / "endpoints.yaml").unlink()
    hospital.change("number.yaml", "deletionPolicy: Retain", "deletionPolicy: Release")
    hospital.kubectl.ok("apply", f"--filename={hospital.folder}")
    (hospital.folder / "number.yaml").unlink()

    assert hospital.told() == (0, {("NumberKept", "lamna-sms")})
    status, effects = hospital.told("--prune")

    assert status == 2
    assert {("NumberReleased", "lamna-sms"), ("EndpointDeactivated", "lamna-test")} < effects
    assert ("RecordRemoved", "lamna-production-provider") in effects


@pytest.mark.parametrize("kustomization", ["samples", "overlays/local"])
def test_the_kustomizations_of_the_repository_can_be_planned(hospital: Hospital, kustomization: str) -> None:
    done = hospital.plan("-k", str(REPOSITORY / "deploy" / kustomization))

    assert (done.returncode, done.stderr) == (0, "")
    assert "Organisation lamna/lamna" in done.stdout
    assert "NumberBought" in done.stdout


def test_who_may_not_list_is_told_so(hospital: Hospital) -> None:
    hospital.kubectl.ok("delete", "clusterrolebinding", f"plan-reader-{hospital.namespace}")

    done = hospital.plan("-f", ".", "-n", hospital.namespace)

    assert (done.returncode, done.stdout) == (1, "")
    assert "forbidden" in done.stderr
