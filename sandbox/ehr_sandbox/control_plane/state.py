"""What the supervisor of a control plane tells everybody else, in one file that is replaced whole."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


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


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # Ours would allow it: the id was given to somebody else's process meanwhile.
    return True


def _file(data_dir: Path) -> Path:
    return data_dir / "state.json"
