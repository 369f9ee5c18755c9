"""Who may write what: the admission policy, and the operator's rights."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.crds.conftest import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, RECORD

REFUSAL = "IntegrationRecords are written by the operator alone: change the FhirEndpoint or the EHRConnectorConfig"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}"


class Operator:
    """kubectl with the operator's token."""

    def __init__(self, kubectl: Kubectl, kubeconfig: Path) -> None:
        self._kubectl = kubectl
        self._kubeconfig = kubeconfig

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        return self._kubectl.ok(*arguments, f"--kubeconfig={self._kubeconfig}", stdin=stdin)

    def apply(self, document: dict[str, Any], *more: str) -> str:
        """Server-side apply, as the operator does it."""
        return self.ok(
            "apply", "--server-side", "--field-manager=ehr-operator", "--filename=-", *more, stdin=json.dumps(document)
        )


@pytest.fixture
def operator(kubectl: Kubectl, operator_kubeconfig: Path) -> Operator:
    return Operator(kubectl, operator_kubeconfig)


def record(**spec: Any) -> dict[str, Any]:
    document = copy.deepcopy(RECORD)
    document["spec"].update(spec)
    return document


def test_the_operator_writes_a_record_and_changes_it(operator: Operator) -> None:
    operator.apply(record())
    operator.apply(record(clientID="another"))

    assert operator.ok("get", "irec", "lamna-test-provider", "--output=jsonpath={.spec.clientID}") == "another"


def test_not_even_the_administrator_creates_a_record(kubectl: Kubectl) -> None:
    refused = kubectl("create", "--filename=-", stdin=json.dumps(record()))

    assert refused.returncode != 0
    assert REFUSAL in refused.stderr
    assert kubectl.ok("get", "irec", "--output=name") == ""


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"launchURL": "https://elsewhere.example/launch"}},
        {"spec": {"clientID": None}},
        {"spec": {"parameters": [{"name": "a", "value": "b"}]}},
    ],
    ids=["change", "removal", "addition"],
)
def test_not_even_the_administrator_changes_the_spec_of_a_record(
    patch: dict[str, Any], kubectl: Kubectl, operator: Operator
) -> None:
    operator.apply(record())

    refused = kubectl("patch", "irec", "lamna-test-provider", "--type=merge", f"--patch={json.dumps(patch)}")

    assert refused.returncode != 0
    assert REFUSAL in refused.stderr
    assert json.loads(kubectl.ok("get", "irec", "lamna-test-provider", "--output=json"))["spec"] == RECORD["spec"]


def test_another_service_account_of_the_operators_name_does_not_pass_for_it(kubectl: Kubectl, namespace: str) -> None:
    kubectl.ok("create", "serviceaccount", OPERATOR_ACCOUNT)
    kubectl.ok(
        "create", "rolebinding", "editor", "--clusterrole=cluster-admin",
        f"--serviceaccount={namespace}:{OPERATOR_ACCOUNT}",
    )  # fmt: skip

    refused = kubectl(
        "create", "--filename=-", f"--as=system:serviceaccount:{namespace}:{OPERATOR_ACCOUNT}",
        stdin=json.dumps(record()),
    )  # fmt: skip

    assert refused.returncode != 0
    assert REFUSAL in refused.stderr


def test_labels_and_annotations_of_a_record_are_open_to_those_whom_rbac_lets(
    kubectl: Kubectl, operator: Operator
) -> None:
    """The EHR admin acknowledges a record, and the garbage collector and finalizers do their work, without its spec."""
    operator.apply(record())

    kubectl.ok("annotate", "irec", "lamna-test-provider", "example.com/note=copied")
    kubectl.ok("delete", "irec", "lamna-test-provider", "--timeout=60s")


def test_the_operator_writes_the_status_of_every_kind(kubectl: Kubectl, operator: Operator, sample: Any) -> None:
    documents = [sample("lamna"), sample("lamna-test"), sample("lamna-sms")]
    for document in documents:
        kubectl.ok("create", "--filename=-", stdin=json.dumps(document))
    operator.apply(record())

    for document in [*documents, RECORD]:
        kind, name = document["kind"], document["metadata"]["name"]
        status = {
            "apiVersion": document["apiVersion"],
            "kind": kind,
            "metadata": {"name": name},
            "status": {"observedGeneration": 1},
        }
        operator.apply(status, "--subresource=status")
        assert operator.ok("get", kind, name, "--output=jsonpath={.status.observedGeneration}") == "1"


OWN_KINDS = ("ehrconnectorconfigs", "fhirendpoints", "smsnumbers", "integrationrecords")

ALLOWED = [
    *[(verb, kind) for kind in OWN_KINDS for verb in ("get", "list", "watch")],
    *[("patch", f"{kind}/status") for kind in OWN_KINDS],
    ("patch", "ehrconnectorconfigs"),
    ("patch", "smsnumbers"),
    ("create", "integrationrecords"),
    ("patch", "integrationrecords"),
    ("delete", "integrationrecords"),
    ("create", "events.events.k8s.io"),
    ("patch", "events.events.k8s.io"),
]
REFUSED = [
    *[(verb, "secrets") for verb in ("get", "list", "watch", "create", "delete")],
    *[(verb, "configmaps") for verb in ("get", "list", "create")],
    *[(verb, "pods") for verb in ("get", "list", "create", "delete")],
    ("create", "pods/exec"),
    ("create", "serviceaccounts/token"),
    *[(verb, kind) for kind in OWN_KINDS for verb in ("deletecollection", "update")],
    *[(verb, kind) for kind in OWN_KINDS if kind != "integrationrecords" for verb in ("create", "delete")],
    ("patch", "fhirendpoints"),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io"),
    ("delete", "namespaces"),
    ("patch", "clusterroles.rbac.authorization.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io"),
    ("impersonate", "users"),
    ("*", "*"),
]


@pytest.mark.parametrize(
    ("verb", "resource", "answer"),
    [*[(*right, "yes") for right in ALLOWED], *[(*right, "no") for right in REFUSED]],
)
def test_the_operator_may_do_what_it_needs_and_nothing_else(
    verb: str, resource: str, answer: str, kubectl: Kubectl
) -> None:
    plain, _, part = resource.partition("/")

    said = kubectl("auth", "can-i", verb, plain, f"--subresource={part}", f"--as={OPERATOR}")

    assert said.stdout.strip() == answer


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "answer"),
    [
        ("create", "leases.coordination.k8s.io", OPERATOR_NAMESPACE, "yes"),
        ("get", "leases.coordination.k8s.io/ehr-operator", OPERATOR_NAMESPACE, "yes"),
        ("update", "leases.coordination.k8s.io/ehr-operator", OPERATOR_NAMESPACE, "yes"),
        ("get", "leases.coordination.k8s.io/another", OPERATOR_NAMESPACE, "no"),
        ("update", "leases.coordination.k8s.io/another", OPERATOR_NAMESPACE, "no"),
        ("list", "leases.coordination.k8s.io", OPERATOR_NAMESPACE, "no"),
        ("delete", "leases.coordination.k8s.io/ehr-operator", OPERATOR_NAMESPACE, "no"),
        ("create", "leases.coordination.k8s.io", "default", "no"),
        ("update", "leases.coordination.k8s.io/ehr-operator", "default", "no"),
    ],
)
def test_the_operator_may_use_its_one_lease_in_its_own_namespace(
    verb: str, resource: str, namespace: str, answer: str, kubectl: Kubectl
) -> None:
    said = kubectl("auth", "can-i", verb, resource, f"--namespace={namespace}", f"--as={OPERATOR}")

    assert said.stdout.strip() == answer
