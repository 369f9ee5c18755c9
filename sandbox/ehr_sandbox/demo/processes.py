"""Programs of the demo, started and restarted as a kubelet would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ehr_sandbox.child import die_with_parent

_STOP_LIMIT_S = 25.0
_RESTART_PAUSE_S = 1.0
_STEADY_S = 10.0
"""A program that lived this long starts with a short pause again."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where its output goes."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path


class Supervised:
    """One program that is kept alive until it is stopped."""

    def __init__(self, program: Program, *, restart_pause_max_s: float = 30.0) -> None:
        self.program = program
        self._pause_max_s = restart_pause_max_s
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the program, and from now on start it again whenever it ends."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def stop(self) -> None:
        """End the program: SIGTERM, and SIGKILL when it does not follow within its grace."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_LIMIT_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    def kill(self) -> None:
        """Send SIGKILL; the program is started again."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def last_lines(self, count: int = 15) -> str:
        """Return the end of the program's log."""
        if not self.program.log.exists():
            return ""
        return "\n".join(self.program.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])

    async def _keep(self) -> None:
        pause_s = first_s = min(_RESTART_PAUSE_S, self._pause_max_s)
        while self._process is not None:
            began_s = time.monotonic()
            await self._process.wait()
            if self._stopping:
                return
            pause_s = first_s if time.monotonic() - began_s > _STEADY_S else min(2 * pause_s, self._pause_max_s)
            await asyncio.sleep(pause_s)
            self.restarts += 1
            await self._spawn()

    async def _spawn(self) -> None:
        with self.program.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                env=dict(self.program.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the demo to hear; it ends its programs in order.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
