"""The whole system, as `make demo` runs it, on ports of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest_asyncio

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.play import running_system
from ehr_sandbox.demo.report import Report
from ehr_sandbox.demo.system import System

_PORTS = 5
_PORTS_A_PROCESS = 100


def free_ports_in_a_row() -> int:
    """The first of five free ports in a row; test processes that run at once look in places of their own."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    begin = 31000 + process % 8 * _PORTS_A_PROCESS
    for first in range(begin, begin + _PORTS_A_PROCESS, _PORTS):
        with ExitStack() as stack:
            try:
                for port in range(first, first + _PORTS):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise OSError("no five free ports in a row")


@pytest_asyncio.fixture(loop_scope="function")
async def system(assets: Assets) -> AsyncIterator[System]:
    """A system of the test's own: it kills and restarts parts of it. What dies is restarted quickly."""
    del assets  # fetched before the first test
    report = Report(PlainProgress())
    async with running_system(report, first_port=free_ports_in_a_row(), restart_pause_max_s=0.3) as running:
        yield running
