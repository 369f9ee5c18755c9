"""kubectl against the shared control plane."""

from __future__ import annotations

import pytest
from cluster.control_plane.kubectl import Kubectl

from ehr_sandbox.control_plane.cluster import ControlPlane


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str) -> Kubectl:
    return Kubectl(control_plane, namespace)
