"""The API server takes an installation as it is: every field, under the restricted profile, and without a change left over."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.control_plane.kubectl import Kubectl
from cluster.deployment.conftest import Rendered
from cluster.deployment.rendered import DEPLOY, REPOSITORY, Document, of_kind, render, templates

WORKLOADS = ("ehr-operator", "ehr-connector-web", "ehr-connector-worker")
OVERLAYS = ("example", "example-ingress", "azure")
EXAMPLE = ("--server-side", "--kustomize", str(DEPLOY / "overlays/example"))
CRDS = str(REPOSITORY / "crds")
FLUX = ("--server-side", "--field-manager=kustomize-controller", "--force-conflicts")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_every_object_in_a_dry_run(cluster: Kubectl, rendered: Rendered, overlay: str) -> None:
    """The namespace has to be there, since a dry run makes none; what CRDs define is checked too."""
    cluster("create", "namespace", "ehr-system")
    dry_run = ("apply", "--dry-run=server", "--server-side", "--validate=strict", "--filename=-")
    taken = cluster.ok(*dry_run, stdin=yaml.safe_dump_all(rendered(overlay))).splitlines()

    assert len(taken) == len(rendered(overlay))


def test_a_misspelt_field_is_refused(cluster: Kubectl, example: list[Document]) -> None:
    """Or the test before would prove little."""
    route = copy.deepcopy(of_kind(example, "HTTPRoute")["ehr-connector"])
    route["spec"]["hostNames"] = route["spec"].pop("hostnames")

    refused = cluster("apply", "--dry-run=server", "--server-side", "--filename=-", stdin=yaml.safe_dump(route))

    assert refused.returncode != 0
    assert "hostNames" in refused.stderr


def test_the_crds_apply_server_side_as_flux_does(cluster: Kubectl) -> None:
    """First tried, then done, over what somebody applied by hand."""
    cluster.ok("apply", *FLUX, "--dry-run=server", "--validate=strict", "--kustomize", CRDS)
    applied = cluster.ok("apply", *FLUX, "--validate=strict", "--kustomize", CRDS).splitlines()

    assert len(applied) == len(cluster.ok("kustomize", CRDS).split("\n---\n"))
    assert cluster.ok("diff", *FLUX, "--kustomize", CRDS) == ""


def of_gitops(kubectl: Kubectl) -> list[Document]:
    """Return what tells Flux what to install, and what to keep of an organisation."""
    files = [file.read_text(encoding="utf-8") for file in sorted((DEPLOY / "gitops/flux").glob("*.yaml"))]
    platform = kubectl.ok("kustomize", str(DEPLOY / "overlays/azure/platform"))
    return [document for text in (*files, platform) for document in yaml.safe_load_all(text)]


def strictly(kubectl: Kubectl, document: Document) -> subprocess.CompletedProcess[str]:
    """Have the API server look at one object, in its own namespace."""
    namespace = document["metadata"].get("namespace", "default")
    kubectl("create", "namespace", namespace)
    how = (f"--namespace={namespace}", "--dry-run=server", "--server-side", "--validate=strict", "--filename=-")
    return kubectl("apply", *how, stdin=yaml.safe_dump(document))


def test_flux_is_told_in_words_that_its_own_crds_know(cluster: Kubectl) -> None:
    documents = of_gitops(cluster)
    release = copy.deepcopy(of_kind(documents, "HelmRelease")["cert-manager"])
    release["spec"]["upgrade"]["crd"] = release["spec"]["upgrade"].pop("crds")

    assert {one["kind"] for one in documents} == {
        "GitRepository", "HelmRelease", "HelmRepository", "Kustomization", "Namespace"
    }  # fmt: skip
    assert [done.stderr for one in documents if (done := strictly(cluster, one)).returncode != 0] == []
    assert "spec.upgrade.crd" in strictly(cluster, release).stderr


def test_nothing_is_left_to_change_after_an_installation(installed: Kubectl) -> None:
    diff = installed("diff", *EXAMPLE)

    assert (diff.returncode, diff.stdout) == (0, "")


@pytest.fixture
def in_its_place(installed: Kubectl, rendered: Rendered, request: pytest.FixtureRequest) -> Iterator[str]:
    """Another overlay in the place of the example, and then the example again."""
    objects = rendered(request.param)
    documents = yaml.safe_dump_all(objects)
    installed.ok("apply", "--server-side", "--filename=-", stdin=documents)
    try:
        yield documents
    finally:
        named = of_kind(rendered("example"), "Namespace").keys()
        others = [one for one in objects if one["metadata"]["name"] not in named]
        installed.ok("delete", "--ignore-not-found", "--wait=false", "--filename=-", stdin=yaml.safe_dump_all(others))
        installed.ok("apply", *EXAMPLE)


@pytest.mark.parametrize("in_its_place", sorted({*OVERLAYS} - {"example"}), indirect=True)
def test_nothing_is_left_to_change_after_another_overlay_was_installed(installed: Kubectl, in_its_place: str) -> None:
    diff = installed("diff", "--server-side", "--filename=-", stdin=in_its_place)

    assert (diff.returncode, diff.stdout) == (0, "")


def test_a_change_of_a_setting_starts_new_pods(assets_kubectl: str, example: list[Document], tmp_path: Path) -> None:
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["example"],
        "configMapGenerator": [
            {
                "name": "ehr-connector",
                "namespace": "ehr-system",
                "behavior": "merge",
                "literals": ["EHR_CONNECTOR_GEOGRAPHY=Europe"],
            }
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    (tmp_path / "example").symlink_to(DEPLOY / "overlays/example")

    changed = templates(render(assets_kubectl, tmp_path))

    moved = {name for name, template in templates(example).items() if template != changed[name]}
    assert moved == {"ehr-connector-web", "ehr-connector-worker"}


def a_pod(template: Document, name: str) -> dict[str, Any]:
    """The pod that a controller would make of a template."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ehr-system", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }


def tried(kubectl: Kubectl, pod: dict[str, Any]) -> tuple[int, str]:
    done = kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(pod))
    return done.returncode, done.stderr


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_restricted_profile_admits_a_pod(
    installed: Kubectl, rendered: Rendered, overlay: str, workload: str
) -> None:
    """Controllers hide a refusal in their events; a bare pod is refused at once. A warning would be on stderr too."""
    assert tried(installed, a_pod(templates(rendered(overlay))[workload], workload)) == (0, "")


@pytest.mark.parametrize(
    "weaker",
    [
        {"allowPrivilegeEscalation": True},
        {"runAsNonRoot": False},
        {"capabilities": {}},
        {"seccompProfile": {"type": "Unconfined"}},
    ],
    ids=str,
)
def test_the_restricted_profile_refuses_a_weaker_pod(
    installed: Kubectl, example: list[Document], weaker: dict[str, Any]
) -> None:
    pod = copy.deepcopy(a_pod(templates(example)["ehr-operator"], "weaker"))
    pod["spec"]["containers"][0]["securityContext"] |= weaker

    status, message = tried(installed, pod)

    assert status != 0
    assert 'violates PodSecurity "restricted' in message
