"""The operators that bench/reconcile.py runs one after the other, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ehr_sandbox.demo.processes import Program, Supervised
from ehr_sandbox.demo.system import System

OURS = "ours"
GO = "Go controller-runtime"
KOPF = "Kopf change handlers"
_HERE = Path(__file__).parent
_START_S = 5.0
"""A peer has no readiness to ask for."""


@dataclass
class Contestant:
    """A running operator."""

    name: str
    program: Supervised
    start: Callable[[], Awaitable[Supervised]]

    def cpu_s(self) -> float:
        """Return the CPU time of the process so far."""
        times = psutil.Process(self.program.pid).cpu_times()
        return times.user + times.system

    def resident_mib(self) -> float:
        """Return the resident memory."""
        return psutil.Process(self.program.pid).memory_info().rss / 2**20

    def peak_mib(self) -> float:
        """Return the most memory that was ever resident."""
        for line in Path(f"/proc/{self.program.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
        return self.resident_mib()

    async def restart(self) -> None:
        """End the process, and start another that finds everything as it was."""
        await self.program.stop()
        self.program = await self.start()


@asynccontextmanager
async def running(name: str, system: System, go_peer: Path | None) -> AsyncGenerator[Contestant]:
    """Run one of the operators during the block."""

    async def start() -> Supervised:
        if name == OURS:
            await system.start_operator()
            await system.operator_ready()
            return system.programs["operator"]
        command = [str(go_peer)] if name == GO else _kopf_command()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("EHR_")},
            "KUBECONFIG": str(system.control_plane.kubeconfig),
            "PEER_CA_FILE": str(system.ca.ca_file),
        }
        program = Supervised(Program("peer", command, environment, system.layout.log("peer")))
        await program.start()
        return program

    contestant = Contestant(name, await start(), start)
    try:
        if name != OURS:
            await asyncio.sleep(_START_S)
        yield contestant
    finally:
        await contestant.program.stop()


def build_go_peer(folder: Path) -> Path | None:
    """Build the Go peer; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        print("no go on PATH: measured without the Go peer", file=sys.stderr)
        return None
    print("building the Go peer (the first time takes minutes)", file=sys.stderr)
    program = folder / "go-peer"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=_HERE / "go_peer", check=True)
    return program


def _kopf_command() -> list[str]:
    peer = str(_HERE / "kopf_peer.py")
    return [sys.executable, "-m", "kopf", "run", "--quiet", "--standalone", "--all-namespaces", peer]
