"""Azurite as a program: it says its address, ends when it is asked to, and does not outlive its parent."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from ehr_clients.http import client
from ehr_clients.storage_queue import StorageQueue
from ehr_sandbox.demo.answers import open_queue


@pytest.fixture
async def program() -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """The program, and the address that it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ehr_sandbox", "azurite"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def answers(address: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            return (await http.get(address, params={"comp": "metadata"} | dict(httpx.URL(address).params))).is_success
        except httpx.HTTPError:
            return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
async def test_it_ends_with_the_program_however_that_ends(
    program: tuple[asyncio.subprocess.Process, str], how: signal.Signals
) -> None:
    process, address = program
    before = await answers(address)
    process.send_signal(how)
    async with asyncio.timeout(60):
        status = await process.wait()
        while await answers(address):  # noqa: ASYNC110 (another process has it)
            await asyncio.sleep(0.1)

    assert before
    assert status == (-signal.SIGKILL if how is signal.SIGKILL else 0)


@pytest.mark.usefixtures("azurite")
async def test_the_demo_has_a_queue_where_azurite_is_on_the_machine() -> None:
    async with AsyncExitStack() as stack, client() as http:
        url = await open_queue(stack)
        assert url is not None
        assert await StorageQueue(http, url).take(hidden_s=30) == []


async def test_the_demo_goes_without_a_queue_where_azurite_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    async with AsyncExitStack() as stack:
        assert await open_queue(stack) is None
