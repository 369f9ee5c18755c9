"""The demo on a cluster that is there already."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from free_ports import free_ports_in_a_row

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.cluster import ControlPlane, ControlPlaneError, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.kubectl import Kubectl
from ehr_sandbox.demo.layout import CRDS
from ehr_sandbox.demo.play import configure, remove, running_system
from ehr_sandbox.demo.report import Report


@pytest.fixture
def somebodys_cluster(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """The current cluster of kubectl, as its owner has set it up."""
    with running_control_plane(progress=PlainProgress(), assets=assets) as cluster:
        monkeypatch.setenv("USE_EXISTING_CLUSTER", "true")
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        monkeypatch.setenv("PATH", f"{cluster.kubectl.parent}{os.pathsep}{os.environ['PATH']}")
        yield cluster


async def test_the_system_runs_on_a_cluster_that_exists_and_leaves_nothing_in_it(
    somebodys_cluster: ControlPlane,
) -> None:
    kubectl = Kubectl(somebodys_cluster.kubectl, somebodys_cluster.kubeconfig)
    kinds = "crd,namespace,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
    before = await kubectl("get", kinds, "-o", "name")

    report = Report(PlainProgress())
    async with running_system(report, first_port=free_ports_in_a_row()) as system:
        await configure(system, report)
        await remove(system, report)

    assert all(step.ok for step in report.steps)
    assert sorted((await kubectl("get", kinds, "-o", "name")).split()) == sorted(before.split())


async def test_a_cluster_where_the_resources_are_in_use_is_left_alone(somebodys_cluster: ControlPlane) -> None:
    kubectl = Kubectl(somebodys_cluster.kubectl, somebodys_cluster.kubeconfig)
    await kubectl("apply", "-k", str(CRDS))

    with pytest.raises(ControlPlaneError, match="take another cluster"):
        async with running_system(Report(PlainProgress()), first_port=free_ports_in_a_row()):
            pass
