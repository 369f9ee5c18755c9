"""The user's cache: what is fetched or built once for all checkouts, by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ehr_sandbox.control_plane.progress import Progress


def cache_folder(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for one kind of part, below `$XDG_CACHE_HOME` or `~/.cache`; it need not be there yet."""
    base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "teams-ehr-connector" / name


@contextmanager
def locked(folder: Path, what: str, progress: Progress) -> Generator[None]:
    """Keep other processes out while `what` is fetched into the folder; the lock ends with the process, however it ends.

    Whoever gets in looks again first: another process may have fetched it meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note(f"Another process fetches {what}; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
