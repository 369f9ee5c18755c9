"""What people see of the kinds: accepted samples, lists, columns, documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.crds.conftest import RECORD, REPOSITORY

from ehr_sandbox.control_plane.cluster import ControlPlane

KINDS = ("ehrconnectorconfig", "fhirendpoint", "smsnumber", "integrationrecord")


@pytest.fixture
def samples(installed: ControlPlane) -> Iterator[Kubectl]:
    """kubectl in the namespace of the samples, which is there while the test runs."""
    kubectl = Kubectl(installed, "lamna")
    kubectl.ok("apply", "--kustomize", str(REPOSITORY / "deploy" / "samples"))
    yield kubectl
    kubectl.ok("delete", "namespace", "lamna", "--timeout=60s")


@pytest.fixture
def objects(kubectl: Kubectl, operator_kubeconfig: Path, sample: Any) -> Kubectl:
    """kubectl in a namespace that holds one object of each kind."""
    for name in ("lamna", "lamna-test", "lamna-sms"):
        kubectl.ok("create", "--filename=-", stdin=json.dumps(sample(name)))
    kubectl.ok("create", "--filename=-", f"--kubeconfig={operator_kubeconfig}", stdin=json.dumps(RECORD))
    return kubectl


def test_the_samples_are_accepted_as_they_are(samples: Kubectl) -> None:
    assert samples.ok("get", "ehr", "--output=name").split() == [
        "ehrconnectorconfig.ehrconnector.io/lamna",
        "fhirendpoint.ehrconnector.io/lamna-production",
        "fhirendpoint.ehrconnector.io/lamna-test",
        "smsnumber.ehrconnector.io/lamna-sms",
    ]


def test_applying_the_samples_again_changes_nothing(samples: Kubectl) -> None:
    again = samples.ok("apply", "--kustomize", str(REPOSITORY / "deploy" / "samples")).splitlines()

    assert [line for line in again if not line.endswith(" unchanged")] == []


def test_a_new_object_says_that_nobody_has_looked_yet(objects: Kubectl) -> None:
    """kstatus, Flux and Argo CD would take an object without status for ready."""
    statuses = [objects.ok("get", kind, "--output=jsonpath={.items[*].status}") for kind in KINDS]

    assert [json.loads(status) for status in statuses] == [{"observedGeneration": -1}] * 4


def test_one_word_lists_the_whole_set_up(objects: Kubectl) -> None:
    listed = objects.ok("get", "ehr", "--output=name").split()

    assert {name.partition(".")[0] for name in listed} == set(KINDS)


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("ehrcfg", "ehrconnectorconfig.ehrconnector.io/lamna"),
        ("fhir", "fhirendpoint.ehrconnector.io/lamna-test"),
        ("sms", "smsnumber.ehrconnector.io/lamna-sms"),
        ("irec", "integrationrecord.ehrconnector.io/lamna-test-provider"),
    ],
)
def test_a_short_name_stands_for_its_kind(short: str, name: str, objects: Kubectl) -> None:
    assert objects.ok("get", short, "--output=name").split() == [name]


@pytest.mark.parametrize(
    ("kind", "columns", "more_when_wide"),
    [
        (
            "ehrconnectorconfig",
            ["NAME", "READY", "REASON", "SMS", "ENDPOINTS", "AGE"],
            ["GEOGRAPHY", "READY ENDPOINTS", "DRIFTED", "SMS MESSAGE", "MESSAGE"],
        ),
        (
            "fhirendpoint",
            ["NAME", "READY", "REASON", "ENVIRONMENT", "VALIDATED", "AGE"],
            ["BASE URL", "FHIR", "CERTIFICATE EXPIRY", "VALIDATED AT", "MESSAGE"],
        ),
        (
            "smsnumber",
            ["NAME", "READY", "REASON", "PHONE NUMBER", "VERIFIED", "AGE"],
            ["TYPE", "MONTHLY COST", "CURRENCY", "DELETION POLICY", "NEXT ATTEMPT", "MESSAGE"],
        ),
        (
            "integrationrecord",
            ["NAME", "ENVIRONMENT", "KIND", "INITIATED BY", "ACKNOWLEDGED", "LAUNCH URL", "CLIENT ID", "AGE"],
            [
                "FHIR BASE URL",
                "TENANT",
                "REDIRECT URI",
                "JWKS URL",
                "SCOPES",
                "PARAMETERS",
                "SENDER NUMBER",
                "DIGEST",
                "SYSTEM CLIENT ID",
                "SYSTEM SCOPES",
            ],
        ),
    ],
)
def test_the_columns_show_what_is_asked_for_most_and_wide_ones_the_rest(
    kind: str, columns: list[str], more_when_wide: list[str], objects: Kubectl
) -> None:
    def header(output: str) -> list[str]:
        """The column names, which are two spaces or more apart."""
        line = objects.ok("get", kind, *([output] if output else [])).splitlines()[0]
        return [name.strip() for name in line.split("  ") if name.strip()]

    assert header("") == columns
    assert set(header("--output=wide")) >= {*columns, *more_when_wide}


def test_a_record_shows_what_is_copied(objects: Kubectl) -> None:
    row = objects.ok("get", "irec", "lamna-test-provider", "--output=wide").splitlines()[1]

    spec = RECORD["spec"]
    copied = [spec[name] for name in ("launchURL", "clientID", "systemClientID", "fhirBaseURL", "tenantID", "digest")]
    assert [value for value in copied if value not in row] == []


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("fhirendpoint", "One FHIR base URL of the organisation's EHR"),
        ("fhirendpoint.spec.baseURL", "The FHIR base URL: the static address of the server's FHIR R4 API"),
        ("ehrconnectorconfig.spec.smsNotifications.consent.attendeesHaveConsented", "attendees have consented"),
        ("smsnumber.spec.deletionPolicy", "Retain keeps it, to be adopted again"),
        ("irec.spec.launchURL", "where the EHR opens the connector"),
    ],
)
def test_kubectl_explain_reads_like_documentation(field: str, words: str, kubectl: Kubectl) -> None:
    explained = " ".join(kubectl.ok("explain", field).split())

    assert words in explained
