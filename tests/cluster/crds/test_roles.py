"""What people may do with the standard roles of their namespace."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.crds.conftest import Sample
from cluster.waiting import eventually

FORCE = "ehrconnector.io/force-promotion=go-live is today"

MAY = {
    "view": {"get fhirendpoints", "watch integrationrecords"},
    "edit": {"get smsnumbers", "create ehrconnectorconfigs", "patch fhirendpoints", "consent ehrconnectorconfigs"},
    "admin": {"patch fhirendpoints", "promote fhirendpoints", "acknowledge integrationrecords"},
}
MAY_NOT = {
    "view": {"create fhirendpoints", "delete smsnumbers", "promote fhirendpoints"},
    "edit": {"create integrationrecords", "patch fhirendpoints/status", "acknowledge integrationrecords"},
    "admin": {"create integrationrecords", "patch smsnumbers/status"},
}

As = Callable[[str], str]


@pytest.fixture
def bound(kubectl: Kubectl) -> As:
    """Give somebody a standard role in the namespace; returns the flag to be that person."""

    def bind(role: str) -> str:
        person = f"nancy-{role}"
        kubectl.ok("create", "rolebinding", person, f"--clusterrole={role}", f"--user={person}")
        return f"--as={person}"

    return bind


@pytest.mark.parametrize("role", MAY)
def test_the_standard_roles_bring_what_their_holders_need_and_no_more(kubectl: Kubectl, bound: As, role: str) -> None:
    person = bound(role)

    def may(request: str) -> bool:
        verb, _, resource = request.partition(" ")
        name, _, part = resource.partition("/")
        subresource = [f"--subresource={part}"] if part else []
        return kubectl("auth", "can-i", verb, f"{name}.ehrconnector.io", *subresource, person).returncode == 0

    # The controller manager puts the roles together a moment after they were applied.
    assert eventually(lambda: all(may(request) for request in MAY[role]))
    assert [request for request in sorted(MAY_NOT[role]) if may(request)] == []


def test_promotion_without_evidence_takes_an_approver(kubectl: Kubectl, bound: As, sample: Sample) -> None:
    author, approver = bound("edit"), bound("admin")
    kubectl.ok("apply", "--filename=-", stdin=json.dumps(sample("lamna-test")))
    annotate = ("annotate", "fhirendpoint", "lamna-test")
    assert eventually(lambda: kubectl(*annotate, "example.com/note=seen", "--overwrite", author).returncode == 0)

    refused = kubectl(*annotate, FORCE, author)

    assert refused.returncode != 0
    assert "ask an approver" in refused.stderr
    assert eventually(lambda: kubectl(*annotate, FORCE, approver).returncode == 0)
    kubectl.ok(*annotate, "example.com/note=again", "--overwrite", author)
    kubectl.ok(*annotate, "ehrconnector.io/force-promotion-", author)
