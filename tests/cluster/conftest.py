"""One control plane for all cluster tests of a run, and a namespace for each test."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ehr_sandbox.control_plane.assets import Assets, usual_finder
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.progress import PlainProgress

_HERE = Path(__file__).parent
_ASSETS = pytest.StashKey[Assets]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs before the first test: a build takes minutes, longer than any test may, and wants to be seen."""
    if session.config.getoption("collectonly") or not any(_HERE in item.path.parents for item in session.items):
        return
    session.config.stash[_ASSETS] = usual_finder().find(PlainProgress(sys.__stderr__))


@pytest.fixture(scope="session")
def assets(pytestconfig: pytest.Config) -> Assets:
    """The programs of the control plane."""
    return pytestconfig.stash[_ASSETS]


@pytest.fixture(scope="session")
def control_plane(assets: Assets) -> Iterator[ControlPlane]:
    """A control plane that all tests share: each works in its own namespace, and restarts nothing."""
    with running_control_plane(progress=PlainProgress(), assets=assets) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a fresh namespace; its deletion goes on while the next tests run."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    kubectl = [control_plane.kubectl, f"--kubeconfig={control_plane.kubeconfig}"]
    subprocess.run([*kubectl, "create", "namespace", name], check=True, capture_output=True)
    yield name
    subprocess.run([*kubectl, "delete", "namespace", name, "--wait=false"], check=True, capture_output=True)
