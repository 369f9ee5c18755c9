"""The whole system, as `make demo` runs it, on ports of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from free_ports import free_ports_in_a_row

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.demo.play import running_system
from ehr_sandbox.demo.report import Report
from ehr_sandbox.demo.system import System


@pytest_asyncio.fixture(loop_scope="function")
async def system(assets: Assets) -> AsyncIterator[System]:
    """A system of the test's own: it kills and restarts parts of it. What dies is restarted quickly."""
    del assets  # fetched before the first test
    report = Report(PlainProgress())
    async with running_system(report, first_port=free_ports_in_a_row(), restart_pause_max_s=0.3) as running:
        yield running
