"""Key files: read again whenever the folder has changed, oldest first."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

_STAMP = "%Y%m%dT%H%M%SZ"

Key = TypeVar("Key")


class KeysError(Exception):
    """The folder holds no usable key; the message names the file and the remedy."""


class KeyFiles(Generic[Key]):
    """The keys in the files of one suffix, with the time at which each was made."""

    def __init__(self, folder: Path, suffix: str, load: Callable[[Path], tuple[datetime, Key]]) -> None:
        self._folder = folder
        self._suffix = suffix
        self._load = load
        self._seen: tuple[tuple[str, int], ...] | None = None
        self._keys: list[tuple[datetime, Key]] = []

    def read(self) -> Sequence[tuple[datetime, Key]]:
        """Return all keys, the oldest first.

        Raises:
            KeysError: A file holds no usable key.
        """
        # Hidden files are half-written ones, and those of Kubernetes' projected volumes.
        files = sorted(path for path in self._folder.glob(f"*{self._suffix}") if not path.name.startswith("."))
        seen = tuple((path.name, path.stat().st_mtime_ns) for path in files)
        if seen != self._seen:
            self._keys = sorted((self._load(path) for path in files), key=lambda pair: pair[0])
            self._seen = seen
        return self._keys


def new_key_id(now: datetime) -> str:
    """Return the id of a key that is made now."""
    return f"{now.astimezone(UTC).strftime(_STAMP)}-{secrets.token_hex(4)}"


def made_at(key_id: str) -> datetime:
    """Return when the key was made.

    Raises:
        ValueError: It is no id of ours.
    """
    return datetime.strptime(key_id.partition("-")[0], _STAMP).replace(tzinfo=UTC)


def write_key(folder: Path, name: str, content: bytes) -> Path:
    """Write a key file that only this user may read, and return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path
