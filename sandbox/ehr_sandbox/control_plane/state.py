"""What the supervisor of a control plane tells everybody else, in one file that is replaced whole."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

_LOCK = "supervisor.lock"


class Phase(StrEnum):
    """How far the control plane is."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class State:
    """The running control plane as its supervisor sees it."""

    phase: Phase
    supervisor_pid: int
    server_url: str
    pids: dict[str, int] = field(default_factory=dict[str, int])
    """Process ids by program name."""
    detail: str = ""
    """Why the start failed."""


def write_state(data_dir: Path, state: State) -> None:
    """Replace the state in `data_dir`."""
    partial = _file(data_dir).with_suffix(".partial")
    partial.write_text(json.dumps(asdict(state)))
    partial.replace(_file(data_dir))


def read_state(data_dir: Path) -> State | None:
    """The state in `data_dir`, or None before the supervisor wrote it and after it removed it."""
    try:
        document: dict[str, Any] = json.loads(_file(data_dir).read_text())
    except FileNotFoundError:
        return None
    document["phase"] = Phase(document["phase"])
    return State(**document)


@contextmanager
def supervision(data_dir: Path) -> Generator[int]:
    """Take the lock that tells that `data_dir` has a living supervisor; gives the file descriptor to hand on to it.

    Unlike a process id, the lock is given back however the supervisor ends, and is never another process's.
    """
    descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def is_supervised(data_dir: Path) -> bool:
    """Whether the supervisor of `data_dir` is alive."""
    try:
        descriptor = os.open(data_dir / _LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _file(data_dir: Path) -> Path:
    return data_dir / "state.json"
