"""A cluster of these tests' own: they install for the whole cluster what other tests must not meet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import cache
from pathlib import Path

import pytest
from cluster.control_plane.kubectl import Kubectl
from cluster.deployment.modules import MODULES, crds, helm_release_crd
from cluster.deployment.rendered import DEPLOY, REPOSITORY, Document, render

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress

_HERE = Path(__file__).parent
SYSTEM = "ehr-system"
Rendered = Callable[[str], list[Document]]


class _StackValues(dict[str, str]):
    """tests/infra renders with a stack's own values; here any do, since it is the fields that are looked at."""

    def __missing__(self, name: str) -> str:
        return f"{name.lower().replace('_', '-')}.example"


def a_cluster(assets: Assets) -> AbstractContextManager[ControlPlane]:
    """A fresh control plane."""
    return running_control_plane(progress=PlainProgress(), assets=assets)


STACK_VALUES = _StackValues()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the CRDs of others before the first test: to make one takes minutes, longer than any test may."""
    if session.config.getoption("collectonly") or not any(_HERE in item.path.parents for item in session.items):
        return
    # What cannot be had is said by the tests that need it, and keeps no other from running.
    with suppress(AssertionError):
        for module in MODULES:
            crds(module)
        helm_release_crd(PlainProgress(sys.__stderr__))


@pytest.fixture(scope="package")
def cluster(assets: Assets) -> Iterator[Kubectl]:
    """A cluster with cert-manager's, Gateway API's, the Prometheus operator's and Flux's CRDs, and ours."""
    with a_cluster(assets) as running:
        kubectl = Kubectl(running, SYSTEM)
        for module in MODULES:
            files = [f"--filename={file}" for file in crds(module)]
            kubectl.ok("apply", "--server-side", *files)
        kubectl.ok("apply", "--server-side", f"--filename={helm_release_crd(PlainProgress())}")
        kubectl.ok("apply", "--server-side", "--kustomize", str(REPOSITORY / "crds"))
        kubectl.ok("wait", "customresourcedefinition", "--all", "--for=condition=Established", "--timeout=60s")
        yield kubectl


@pytest.fixture(scope="package")
def rendered(assets: Assets) -> Rendered:
    """Gives what an overlay renders to, with something in place of each value that a stack would give."""
    return cache(lambda overlay: render(str(assets.kubectl), DEPLOY / "overlays" / overlay, STACK_VALUES))


@pytest.fixture(scope="package")
def example(rendered: Rendered) -> list[Document]:
    """What deploy/overlays/example renders to."""
    return rendered("example")


@pytest.fixture(scope="package")
def installed(cluster: Kubectl) -> Kubectl:
    """The cluster with the example applied as docs/how-to/deploy.md says."""
    cluster.ok("apply", "--server-side", "--kustomize", str(DEPLOY / "overlays/example"))
    return cluster


@pytest.fixture(scope="package")
def assets_kubectl(assets: Assets) -> str:
    """Where kubectl is; to render needs no cluster."""
    return str(assets.kubectl)
