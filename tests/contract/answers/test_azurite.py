"""Azurite as a program: it says its address, ends when it is asked to, and does not outlive its parent."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator

import httpx
import pytest


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
