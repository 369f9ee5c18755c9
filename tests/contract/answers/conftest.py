"""Fixtures: Azurite with a queue for each test, and the simulator of messages that brings its events there."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from contract.acs_stand_in.running import AcsStarter
from contract.answers.queues import Queue


@pytest.fixture(scope="session")
def azurite() -> Iterator[httpx.URL]:
    """The address of a running queue service's account, with a signature."""
    command = [sys.executable, "-m", "ehr_sandbox", "azurite", "--queue", "first"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "Azurite did not start; it says why above"
            url = httpx.URL(address)
            yield url.copy_with(path=url.path.removesuffix("/first"))
        finally:
            process.terminate()


@pytest.fixture
def queue(azurite: httpx.URL) -> Iterator[Queue]:
    """An empty queue."""
    url = azurite.copy_with(path=f"{azurite.path}/test-{uuid.uuid4().hex}")
    httpx.put(url, trust_env=False).raise_for_status()
    yield Queue(str(url))
    httpx.delete(url, trust_env=False)


@pytest.fixture
async def start_acs() -> AsyncGenerator[AcsStarter]:
    async with AsyncExitStack() as resources:
        yield AcsStarter(resources)
