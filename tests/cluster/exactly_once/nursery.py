"""Operators as processes, by the score: one process imports the program once and forks an operator at each request.

What is forked then runs `python -m ehr_operator`'s own `main` under its own environment and dies by SIGKILL like any
other process; only the second of imports before it is saved, which a matrix of kills would pay hundreds of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Operator:
    """One running operator."""

    pid: int

    def kill(self) -> None:
        """End it as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    @property
    def alive(self) -> bool:
        """Whether the process exists; the nursery reaps its dead at once."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def gone(self) -> None:
        """Wait for the end of the process."""
        async with asyncio.timeout(60):
            while self.alive:  # noqa: ASYNC110 (nobody tells of the end of another's child)
                await asyncio.sleep(0.01)


class Nursery:
    """Starts operators."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, environment: Mapping[str, str], log: Path) -> Operator:
        """Start an operator with these settings; what it says is appended to `log`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"environment": dict(environment), "log": str(log)}) + "\n")
        self._process.stdin.flush()
        return Operator(int(self._process.stdout.readline()))


@contextmanager
def running_nursery() -> Generator[Nursery]:
    """A nursery for the time of the block; at its end all operators are gone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EHR_")}
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean) as process:
        try:
            yield Nursery(process)
        finally:
            process.kill()


def _serve() -> None:
    # Imported here: who only wants to start operators need not have them in memory.
    from kubernetes.aio.config import kube_config  # noqa: PLC0415

    from ehr_operator.__main__ import main  # noqa: PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid:
            print(pid, flush=True)  # noqa: T201 (the protocol)
            continue
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(order["environment"])
        # The library reads the environment when it is imported.
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.argv = ["ehr_operator"]
        status = 1
        try:
            status = main()
        finally:
            os._exit(status)


if __name__ == "__main__":
    _serve()
