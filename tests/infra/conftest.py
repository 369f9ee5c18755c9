"""The engine, got before the first test, and one process in which Pulumi runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from infra import declared

from ehr_sandbox.control_plane.assets import Assets, usual_finder
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.pulumi_engine.engine import find
from ehr_sandbox.pulumi_provider.world import Recorded

_HERE = Path(__file__).parent
_ASSETS = pytest.StashKey[Assets]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs before the first test: a build takes minutes, longer than any test may, and wants to be seen."""
    if session.config.getoption("collectonly") or not any(_HERE in item.path.parents for item in session.items):
        return
    find(PlainProgress(sys.__stderr__))
    session.config.stash[_ASSETS] = usual_finder().find(PlainProgress(sys.__stderr__))


@pytest.fixture(scope="session")
def kubectl(pytestconfig: pytest.Config) -> Path:
    """kubectl, which builds overlays without a cluster."""
    return pytestconfig.stash[_ASSETS].kubectl


@pytest.fixture(scope="session")
def pulumi_process() -> Iterator[ProcessPoolExecutor]:
    """A process for Pulumi and its globals; it imports the SDK once."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="session")
def dev(pulumi_process: ProcessPoolExecutor) -> dict[str, Recorded]:
    """What the sample of a small stack declares, by name."""
    return dict(pulumi_process.submit(declared.declare, "dev", {}).result())


@pytest.fixture(scope="session")
def production(pulumi_process: ProcessPoolExecutor) -> dict[str, Recorded]:
    """What the sample of a stack for patients declares, by name."""
    return dict(pulumi_process.submit(declared.declare, "production", {}).result())
