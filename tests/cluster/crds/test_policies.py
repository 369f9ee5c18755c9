"""Who may write status, consent and acknowledgements, asked of the real API server as several people."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.crds.conftest import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, RECORD, Sample
from cluster.waiting import eventually

KINDS = ("ehrconnectorconfig", "fhirendpoint", "smsnumber", "integrationrecord")
STATUS = ("--subresource=status", "--type=merge", '--patch={"status":{"observedGeneration":7}}')
OPERATOR = f"--as=system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}"
RECORD_NAME = RECORD["metadata"]["name"]
DIGEST_IS = "ehrconnector.io/acknowledged-digest="
BY_IS = "ehrconnector.io/acknowledged-by="
DIGEST = RECORD["spec"]["digest"]

As = Callable[[str], str]


@pytest.fixture
def bound(kubectl: Kubectl) -> As:
    """Give somebody a role in the namespace; returns the flag to be that person."""

    def bind(role: str) -> str:
        person = f"pat-{role}"
        kubectl.ok("create", "rolebinding", person, f"--clusterrole={role}", f"--user={person}")
        return f"--as={person}"

    return bind


@pytest.fixture
def objects(kubectl: Kubectl, operator_kubeconfig: Path, sample: Sample) -> Kubectl:
    """kubectl in a namespace that holds one object of each kind."""
    for name in ("lamna", "lamna-test", "lamna-sms"):
        kubectl.ok("create", "--filename=-", stdin=json.dumps(sample(name)))
    kubectl.ok("create", "--filename=-", f"--kubeconfig={operator_kubeconfig}", stdin=json.dumps(RECORD))
    return kubectl


def becomes(kubectl: Kubectl, *arguments: str, allowed: bool, says: str = "") -> bool:
    """Whether the API server comes to allow or refuse a request: roles and policies take effect a moment after they stand."""

    def holds() -> bool:
        done: subprocess.CompletedProcess[str] = kubectl(*arguments)
        return (done.returncode == 0) is allowed and says in done.stderr

    return eventually(holds)


def of_sample(sample: Sample) -> dict[str, str]:
    documents = [sample("lamna"), sample("lamna-test"), sample("lamna-sms"), RECORD]
    return {document["kind"].lower(): document["metadata"]["name"] for document in documents}


def kind_of(sample: Sample, kind: str) -> str:
    documents = [sample("lamna"), sample("lamna-test"), sample("lamna-sms"), RECORD]
    return next(document["kind"] for document in documents if document["kind"].lower() == kind)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_but_the_operator_writes_status_whatever_roles_they_hold(
    kind: str, objects: Kubectl, bound: As, sample: Sample
) -> None:
    name, almighty = of_sample(sample)[kind], bound("cluster-admin")
    assert becomes(objects, "get", kind, name, almighty, allowed=True)

    assert becomes(objects, "patch", kind, name, *STATUS, almighty, allowed=False, says="written by the operator alone")
    status = {
        "apiVersion": RECORD["apiVersion"],
        "kind": kind_of(sample, kind),
        "metadata": {"name": name},
        "status": {"observedGeneration": 7},
    }
    apply = ("apply", "--server-side", "--subresource=status", "--field-manager=ehr-operator", "--filename=-")
    objects.ok(*apply, OPERATOR, stdin=json.dumps(status))


def test_a_status_can_still_be_repaired_with_the_administrators_certificate(objects: Kubectl) -> None:
    """A policy that even the owner of the cluster cannot pass would have to be removed on the day it is in the way."""
    objects.ok("patch", "smsnumber", "lamna-sms", *STATUS)

    assert objects.ok("get", "smsnumber", "lamna-sms", "--output=jsonpath={.status.observedGeneration}") == "7"


WITHDRAWN: list[dict[str, Any]] = [
    {"spec": {"smsNotifications": {"consent": {"attendeesHaveConsented": False}, "enabled": False}}},
    {"spec": {"smsNotifications": {"consent": None, "enabled": False}}},
    {"spec": {"smsNotifications": None}},
    {"spec": {"smsNotifications": {"consent": {"acknowledgedBy": "Somebody else"}}}},
]


@pytest.mark.parametrize("patch", WITHDRAWN, ids=["one box", "consent", "all of it", "name"])
def test_consent_is_changed_by_authors_alone(patch: dict[str, Any], objects: Kubectl, bound: As) -> None:
    objects.ok("create", "role", "patches", "--verb=get,patch,create", "--resource=ehrconnectorconfigs.ehrconnector.io")
    objects.ok("create", "rolebinding", "patches", "--role=patches", "--user=pat-helper")
    helper, author = "--as=pat-helper", bound("edit")
    change = (
        "patch",
        "ehrconnectorconfig",
        "lamna",
        "--type=merge",
        f"--patch={json.dumps(patch)}",
        "--dry-run=server",
    )
    other = ("patch", "ehrconnectorconfig", "lamna", "--type=merge", '--patch={"spec":{"displayName":"Lamna"}}')

    assert becomes(objects, *other, helper, allowed=True)
    assert becomes(objects, *change, helper, allowed=False, says="takes the verb 'consent'")
    assert becomes(objects, *change, OPERATOR, allowed=False, says="takes the verb 'consent'")
    assert becomes(objects, *change, author, allowed=True)


def test_an_organisation_is_created_with_consent_by_authors_alone(
    kubectl: Kubectl, tmp_path: Path, bound: As, sample: Sample
) -> None:
    kubectl.ok("create", "role", "creates", "--verb=get,create", "--resource=ehrconnectorconfigs.ehrconnector.io")
    kubectl.ok("create", "rolebinding", "creates", "--role=creates", "--user=pat-helper")
    author = bound("edit")
    consenting, silent = sample("lamna"), sample("lamna")
    del silent["spec"]["smsNotifications"]
    for name, document in (("consenting", consenting), ("silent", silent)):
        (tmp_path / name).write_text(json.dumps(document))
    create = ("create", "--dry-run=server", "--filename")

    assert becomes(kubectl, *create, str(tmp_path / "silent"), "--as=pat-helper", allowed=True)
    assert becomes(
        kubectl,
        *create,
        str(tmp_path / "consenting"),
        "--as=pat-helper",
        allowed=False,
        says="takes the verb 'consent'",
    )
    assert becomes(kubectl, *create, str(tmp_path / "consenting"), author, allowed=True)


def test_a_record_is_acknowledged_under_the_own_name_with_its_digest(objects: Kubectl, bound: As) -> None:
    acknowledger = bound("ehr-acknowledger")
    annotate = ("annotate", "irec", RECORD_NAME, acknowledger)
    own = f"{BY_IS}pat-ehr-acknowledger"
    assert becomes(objects, *annotate, "example.com/note=seen", allowed=True)

    assert becomes(objects, *annotate, DIGEST_IS + DIGEST, f"{BY_IS}the-boss", allowed=False, says="your own name")
    assert becomes(objects, *annotate, DIGEST_IS + DIGEST, allowed=False, says="your own name")
    assert becomes(objects, *annotate, f"{DIGEST_IS}sha256:1", own, allowed=False, says="must be the digest")
    objects.ok(*annotate, DIGEST_IS + DIGEST, own)
    objects.ok(*annotate, DIGEST_IS.replace("=", "-"), BY_IS.replace("=", "-"))


def test_an_acknowledgement_takes_its_own_verb(objects: Kubectl, bound: As) -> None:
    objects.ok("create", "role", "patches", "--verb=get,patch", "--resource=integrationrecords.ehrconnector.io")
    objects.ok("create", "rolebinding", "patches", "--role=patches", "--user=pat-helper")
    annotate = ("annotate", "irec", RECORD_NAME, "--overwrite")
    assert becomes(objects, *annotate, "example.com/note=seen", "--as=pat-helper", allowed=True)

    acknowledgement = (DIGEST_IS + DIGEST, f"{BY_IS}pat-helper")
    assert becomes(objects, *annotate, *acknowledgement, "--as=pat-helper", allowed=False, says="verb 'acknowledge'")
    admin = bound("admin")
    assert becomes(objects, *annotate, DIGEST_IS + DIGEST, f"{BY_IS}pat-admin", admin, allowed=True)
    taken_back = (DIGEST_IS.replace("=", "-"), BY_IS.replace("=", "-"))
    assert becomes(objects, *annotate, *taken_back, "--as=pat-helper", allowed=False, says="verb 'acknowledge'")


def test_the_operator_changes_a_record_that_stands_acknowledged(objects: Kubectl, bound: As) -> None:
    acknowledger = bound("ehr-acknowledger")
    annotations = (DIGEST_IS + DIGEST, f"{BY_IS}pat-ehr-acknowledger")
    assert becomes(objects, "annotate", "irec", RECORD_NAME, *annotations, acknowledger, allowed=True)

    patch = json.dumps({"spec": {"clientID": "another", "digest": "sha256:" + "1" * 64}})
    objects.ok("patch", "irec", RECORD_NAME, "--type=merge", f"--patch={patch}", OPERATOR)

    assert objects.ok("get", "irec", RECORD_NAME, "--output=jsonpath={.spec.clientID}") == "another"
