"""The operator's service account holds what the operator uses, and not one verb more."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.crds.conftest import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, RECORD, REPOSITORY
from cluster.rights.audit import Audit, Right, audited
from cluster.waiting import eventually
from free_ports import free_port

from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.credentials import write_token_kubeconfig

KINDS = ("ehrconnectorconfigs", "fhirendpoints", "smsnumbers", "integrationrecords")
SMS_RECORD = "lamna-test-sms"


def granted() -> set[Right]:
    """Return every single right of the operator's roles."""
    documents = yaml.safe_load_all((REPOSITORY / "deploy" / "base" / "operator-rbac.yaml").read_text(encoding="utf-8"))
    return {
        Right(group, resource, verb)
        for document in documents
        for rule in document.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The shared control plane with everything that a cluster gets before the operator, and nobody's lease."""
    kubectl = Kubectl(control_plane, OPERATOR_NAMESPACE)
    for folder in ("crds", "deploy/base"):
        kubectl.ok("apply", "--kustomize", str(REPOSITORY / folder))
    kubectl.ok("wait", "customresourcedefinition", "--all", "--for=condition=Established", "--timeout=60s")
    kubectl.ok("delete", "lease", "--all")
    return control_plane


@dataclass
class Running:
    """An operator under its own service account, and what it asked for."""

    process: subprocess.Popen[bytes]
    audit: Audit
    log: Path


@pytest.fixture
def operator(installed: ControlPlane, tmp_path: Path) -> Iterator[Running]:
    token = installed.mint_token_now(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT, None, 3600)
    kubeconfig, key, log = tmp_path / "kubeconfig", tmp_path / "key", tmp_path / "log"
    key.write_text("c2VjcmV0")
    with audited(installed.server_url, installed.ca_file) as audit:
        write_token_kubeconfig(kubeconfig, audit.url, installed.ca_file, token=token)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EHR_")},
            "KUBECONFIG": str(kubeconfig),
            "EHR_OPERATOR_HOST": "127.0.0.1",
            "EHR_OPERATOR_PORT": str(free_port()),
            "EHR_OPERATOR_NAMESPACE": OPERATOR_NAMESPACE,
            "EHR_OPERATOR_ACS_CREDENTIAL": f"file:{key}",
            "EHR_OPERATOR_PURCHASING": "disabled",
        }
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", "ehr_operator"], env=environment, stderr=output)
        try:
            yield Running(process, audit, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            finally:
                process.kill()


def sample(name: str) -> dict[str, Any]:
    folder = REPOSITORY / "deploy" / "samples"
    documents = [one for file in folder.glob("*.yaml") for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return copy.deepcopy(next(one for one in documents if "spec" in one and one["metadata"]["name"] == name))


def work_through_everything(operator: Running, kubectl: Kubectl) -> None:
    """Have the operator do each kind of thing that it ever does to the API server."""
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}"

    def reason(kind: str, name: str) -> str:
        return kubectl("get", kind, name, f"--output={ready}").stdout

    # A conflict makes it read the object afresh.
    operator.audit.conflict_on = {f"{kind}/status" for kind in KINDS}
    endpoint = sample("lamna-test")
    endpoint["spec"].pop("smsNumberRef")
    for document in (sample("lamna"), sample("lamna-sms"), endpoint):
        kubectl.ok("apply", "--filename=-", stdin=json.dumps(document))
    for kind, name in (("fhir", "lamna-test"), ("ehrcfg", "lamna"), ("sms", "lamna-sms")):
        assert eventually(lambda kind=kind, name=name: bool(reason(kind, name))), operator.log.read_text()
    assert eventually(lambda: reason("irec", "lamna-test-provider") == "Written")

    # The record of a number that is not linked is removed.
    record = copy.deepcopy(RECORD)
    record["metadata"] = {"name": SMS_RECORD}
    record["spec"] |= {"kind": "Sms", "senderNumber": "+18335550101"}
    kubectl.ok(
        "create", "--filename=-", f"--as=system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}",
        stdin=json.dumps(record),
    )  # fmt: skip
    assert eventually(lambda: SMS_RECORD not in kubectl.ok("get", "irec", "--output=name"))

    # The same happens twice: an Event is counted up.
    for suspended in (True, False, True):
        kubectl.ok(
            "patch", "fhir", "lamna-test", "--type=merge", f'--patch={{"spec":{{"suspend":{json.dumps(suspended)}}}}}'
        )
        assert eventually(lambda suspended=suspended: (reason("fhir", "lamna-test") == "Suspended") == suspended)

    assert eventually(lambda: not operator.audit.conflict_on)
    kubectl.ok("delete", "fhir,sms,ehrcfg", "--all", "--timeout=60s")
    # A lease is renewed every two seconds.
    assert eventually(lambda: granted() <= set(operator.audit.asked)), granted() - set(operator.audit.asked)


def test_every_single_right_of_the_operator_is_used_and_every_right_that_it_uses_is_granted(
    operator: Running, installed: ControlPlane, namespace: str
) -> None:
    """Take one verb away and something here is refused; give one more and it is named."""
    work_through_everything(operator, Kubectl(installed, namespace))

    used = set(operator.audit.asked)
    assert used - granted() == set(), "used, and not granted"
    assert granted() - used == set(), "granted, and never used"
    assert {right for right, statuses in operator.audit.asked.items() if 403 in statuses} == set()
