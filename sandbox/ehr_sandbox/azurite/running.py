"""Starts the queue of Azurite on a free port, in memory, and ends it."""

from __future__ import annotations

import asyncio
import re
import ssl
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from ehr_sandbox.azurite.shared_access import account_signature
from ehr_sandbox.child import die_with_parent

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has. Source: Azure Storage, "Use the Azurite emulator"."""
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 10.0
_LISTENS = re.compile(r"successfully listens on (https?://\S+)")


class AzuriteError(Exception):
    """It did not start; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running queue service."""

    origin: str
    ca_file: Path | None = None

    @property
    def url(self) -> str:
        """Address of the account."""
        return f"{self.origin}/{ACCOUNT}"

    @property
    def signature(self) -> str:
        """A shared access signature for everything in the account, as the query of a URL."""
        return account_signature(ACCOUNT, KEY)

    def queue_url(self, queue: str) -> str:
        """Return the address of a queue, with a signature that lets in whoever has it."""
        return f"{self.url}/{queue}?{self.signature}"

    async def create_queue(self, queue: str) -> str:
        """Create a queue, unless it is there, and return its address with a signature."""
        trusted = ssl.create_default_context(cafile=self.ca_file)
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as http:
            (await http.put(self.queue_url(queue))).raise_for_status()
        return self.queue_url(queue)


@asynccontextmanager
async def running(
    command: Sequence[str],
    *,
    port: int = 0,
    certificate: tuple[Path, Path] | None = None,
    ca_file: Path | None = None,
) -> AsyncGenerator[Azurite]:
    """Run Azurite's queue for the time of the block; `command` comes from `finding`.

    With a certificate (chain and key) it serves https and takes bearer tokens too, whose signature it does not check.

    Raises:
        AzuriteError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        options = ["--queueHost", "127.0.0.1", "--queuePort", str(port)]
        options += ["--inMemoryPersistence", "--disableTelemetry", "--silent"]
        if certificate is not None:
            options += ["--oauth", "basic", "--cert", str(certificate[0]), "--key", str(certificate[1])]
        process = await asyncio.create_subprocess_exec(
            *command,
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        drain: asyncio.Task[None] | None = None
        try:
            origin = await _origin(process)
            drain = asyncio.create_task(_drain(process), name="read what Azurite says")
            yield Azurite(origin, ca_file)
        finally:
            await _end(process)
            if drain is not None:
                await drain


async def _origin(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
    said: list[str] = []
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            async for line in process.stdout:
                said.append(line.decode(errors="replace").strip())
                found = _LISTENS.search(said[-1])
                if found:
                    return found[1]
    except TimeoutError:
        said.append(f"it was not ready after {_START_LIMIT_S:g} s")
    raise AzuriteError(f"Azurite did not start: {'; '.join(said[-5:])}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read on: a full pipe would stop it."""
    assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
    while await process.stdout.read(65536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
