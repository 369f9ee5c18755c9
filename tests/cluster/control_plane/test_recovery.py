"""The cluster's memory can be saved, lost and restored, at the same address; and a part can stay down for a while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.control_plane.kubectl import Kubectl

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.etcdutl import find_etcdutl
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.control_plane.recovery import lose_everything, restore_snapshot, save_snapshot, stopped


@pytest.fixture
def own(assets: Assets) -> Iterator[ControlPlane]:
    with running_control_plane(progress=PlainProgress(sys.stderr), assets=assets) as running:
        yield running


@pytest.fixture
def kubectl(own: ControlPlane) -> Kubectl:
    return Kubectl(own, "default")


@pytest.mark.timeout(900)  # etcdutl may have to be built
def test_a_snapshot_brings_back_what_was_and_a_wiped_cluster_is_empty(
    own: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    etcdutl = find_etcdutl(PlainProgress(sys.stderr))
    kubectl.ok("create", "configmap", "before")
    save_snapshot(own, tmp_path / "snapshot.db")
    kubectl.ok("create", "configmap", "after")
    version = int(kubectl.ok("get", "configmap", "after", "--output=jsonpath={.metadata.resourceVersion}"))

    restore_snapshot(own, tmp_path / "snapshot.db", etcdutl)

    assert kubectl.ok("get", "configmap", "before", "--output=name") == "configmap/before\n"
    assert "NotFound" in kubectl("get", "configmap", "after").stderr
    kubectl.ok("create", "configmap", "later")
    assert int(kubectl.ok("get", "configmap", "later", "--output=jsonpath={.metadata.resourceVersion}")) > version

    lose_everything(own)

    assert "NotFound" in kubectl("get", "configmap", "before").stderr


def test_a_program_that_is_stopped_stays_down_until_it_is_let_go(own: ControlPlane, kubectl: Kubectl) -> None:
    kubectl.ok("create", "configmap", "kept")
    before = own.pids

    with stopped(own, Binary.ETCD):
        assert Binary.ETCD not in own.pids
        assert kubectl("get", "configmap", "kept", "--request-timeout=2s").returncode != 0

    assert own.pids[Binary.ETCD] != before[Binary.ETCD]
    assert kubectl.ok("get", "configmap", "kept", "--output=name") == "configmap/kept\n"
