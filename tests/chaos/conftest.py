"""The whole system, with a way to the API server that can be cut."""

from __future__ import annotations

import os
import random
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from chaos.control_wire import ControlWire, running_control_wire
from chaos.wire import Wire, running_wire
from free_ports import free_ports_in_a_row

from ehr_sandbox.control_plane.assets import usual_finder
from ehr_sandbox.control_plane.cluster import ControlPlane
from ehr_sandbox.control_plane.etcdutl import find_etcdutl
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.play import running_system
from ehr_sandbox.demo.report import Report
from ehr_sandbox.demo.system import System

_HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs before the test: a build takes minutes, longer than any test may, and wants to be seen."""
    if session.config.getoption("collectonly") or not any(_HERE in item.path.parents for item in session.items):
        return
    progress = PlainProgress(sys.__stderr__)
    usual_finder().find(progress)
    find_etcdutl(progress)


@pytest.fixture
def seconds() -> float:
    """How long the trouble lasts: EHR_CHAOS_SECONDS, or a minute."""
    return float(os.environ.get("EHR_CHAOS_SECONDS", "60"))


@pytest.fixture
def seed() -> int:
    """What decides who is struck, when and how: EHR_CHAOS_SEED, or a new one each time."""
    return int(os.environ.get("EHR_CHAOS_SEED", "") or random.randrange(1_000_000))


@pytest.fixture
def control_socket() -> Iterator[socket.socket]:
    """Where the operator finds the connector."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest_asyncio.fixture(loop_scope="function")
async def system(control_socket: socket.socket) -> AsyncGenerator[System]:
    """A system of the test's own. What dies in it is restarted quickly."""
    async with running_system(
        Report(PlainProgress()),
        first_port=free_ports_in_a_row(),
        restart_pause_max_s=0.3,
        way_to_control=f"https://127.0.0.1:{control_socket.getsockname()[1]}",
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="function")
async def control_wire(system: System, control_socket: socket.socket) -> AsyncGenerator[ControlWire]:
    """The operator's way to the connector."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*system.ca.server_certificate("control-wire", "127.0.0.1"))
    wire = ControlWire(system.layout.connector_port, system.ca.client_context())
    async with running_control_wire(control_socket, wire, tls) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="function")
async def wire(system: System) -> AsyncGenerator[Wire]:
    """The operator's way to the API server; the operator is started anew on it."""
    assert isinstance(system.control_plane, ControlPlane), "chaos is for a control plane of our own"
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(running_wire(system.control_plane.server_url))
        kubeconfig = system.layout.operator_kubeconfig
        kubeconfig.write_text(kubeconfig.read_text().replace(system.control_plane.server_url, wire.url))
        system.programs["operator"].kill()
        await system.operator_ready()
        yield wire
