"""The house in which all runs of a test take place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from cluster.exactly_once.nursery import Nursery, running_nursery
from cluster.exactly_once.stage import House, opened
from cluster.runtime.conftest import apply_crds

from ehr_sandbox.control_plane.cluster import ControlPlane


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with running_nursery() as running:
        yield running


@pytest.fixture(scope="session")
def with_crds(control_plane: ControlPlane) -> ControlPlane:
    """The shared control plane with our CRDs."""
    apply_crds(control_plane)
    return control_plane


@pytest.fixture
async def house(with_crds: ControlPlane, nursery: Nursery, tmp_path: Path) -> AsyncGenerator[House]:
    async with opened(with_crds, nursery, tmp_path) as house:
        yield house
