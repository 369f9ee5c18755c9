"""The folder of programs that all runs of a user share; it never holds half a program."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ehr_sandbox.control_plane.binaries import ETCD_VERSION, KUBERNETES_VERSION, Binary, Platform
from ehr_sandbox.control_plane.progress import Progress
from ehr_sandbox.user_cache import cache_folder, locked

_PARTIAL = "partial-"


@dataclass(frozen=True, slots=True)
class Cache:
    """One folder for each pair of versions and each platform.

    A program gets there by an atomic rename from a folder beside it, so that what is there is complete, whatever
    was interrupted and when.
    """

    folder: Path

    @classmethod
    def of_user(cls, platform: Platform) -> Cache:
        """The cache below `$XDG_CACHE_HOME`, or `~/.cache`."""
        version = f"{KUBERNETES_VERSION}-etcd-{ETCD_VERSION}-{platform}"
        return cls(cache_folder("control-plane") / version)

    def get(self, binary: Binary) -> Path | None:
        """The cached program, or None."""
        path = self.folder / binary
        return path if path.is_file() and os.access(path, os.X_OK) else None

    @contextmanager
    def locked(self, progress: Progress) -> Generator[None]:
        """Keep other processes out while programs are fetched; the lock ends with the process, however it ends."""
        with locked(self.folder, "the control plane's programs", progress):
            yield

    @contextmanager
    def partial_folder(self) -> Generator[Path]:
        """A folder for work in progress, removed at the end. What killed processes left is removed at the start.

        Only for the holder of the lock: nobody else has work in progress then.
        """
        for left_over in self.folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def adopt(self, partial: Path, binary: Binary) -> Path:
        """Move a complete program from the folder `partial` into the cache."""
        return (partial / binary).rename(self.folder / binary)
