"""Key files: read again whenever they have changed, and which of them is used."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

_STAMP = "%Y%m%dT%H%M%SZ"
_LOOK_S = 1.0
"""How long a file that was written over, and not replaced, may stay unnoticed."""
_TICK_NS = 50_000_000
"""A folder that changed so shortly ago may change again without another time of change: file systems tick slowly."""

Key = TypeVar("Key")


class KeysError(Exception):
    """The folder holds no usable key; the message names the file and the remedy."""


class KeyFiles(Generic[Key]):
    """The keys in the files of one suffix, with the time at which each was made."""

    def __init__(
        self,
        folder: Path,
        suffix: str,
        load: Callable[[Path], tuple[datetime, Key]],
        now: Callable[[], datetime],
        wait: timedelta = timedelta(),
    ) -> None:
        """Read the keys of a folder; a new one is used for something new only after `wait`."""
        self._folder = folder
        self._suffix = suffix
        self._load = load
        self._now = now
        self._wait = wait
        self._looked_s = float("-inf")
        self._folder_ns: int | None = None
        self._seen: tuple[tuple[str, int], ...] | None = None
        self._keys: dict[str, tuple[datetime, Key]] = {}
        self._sorted: list[tuple[datetime, Key]] = []
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with these files, although there may be keys to go on with."""
        try:
            self.oldest()
        except KeysError as exc:
            return str(exc)
        return self._problem

    def oldest(self) -> Key:
        """Return the oldest key.

        Raises:
            KeysError: There is no usable key.
        """
        keys = self._read()
        if not keys:
            raise KeysError(
                f"no *{self._suffix} in {self._folder}: make one with `python -m ehr_connector new-key {self._folder}`"
            )
        return keys[0][1]

    def current(self) -> Key:
        """Return the newest key that has waited long enough; of keys that are all too new, the oldest.

        Raises:
            KeysError: There is no usable key.
        """
        oldest = self.oldest()
        now = self._now()
        return next((key for made, key in reversed(self._read()) if now - made >= self._wait), oldest)

    def all(self) -> Sequence[Key]:
        """Return all keys, the oldest first.

        Raises:
            KeysError: A file holds no usable key, and none was read yet.
        """
        return [key for _, key in self._read()]

    def _read(self) -> Sequence[tuple[datetime, Key]]:
        """Return all keys as they were at the last look; one is due each second, and when a file came or went.

        A file that is bad when keys were read before is logged once; its last good key stays, if it had one.
        """
        now_s, folder_ns = time.monotonic(), _changed_ns(self._folder)
        if folder_ns == self._folder_ns and now_s - self._looked_s < _LOOK_S:
            return self._sorted
        # Hidden files are half-written ones, and those of Kubernetes' projected volumes.
        files = [path for path in self._folder.glob(f"*{self._suffix}") if not path.name.startswith(".")]
        changed = {path: at_ns for path in files if (at_ns := _changed_ns(path)) is not None}
        seen = tuple(sorted((path.name, at_ns) for path, at_ns in changed.items()))
        if seen != self._seen:
            self._problem = None
            found = {path.name: key for path in changed if (key := self._loaded(path)) is not None}
            self._keys, self._seen = found, seen
            self._sorted = sorted(found.values(), key=lambda pair: pair[0])
        is_settled = folder_ns is not None and time.time_ns() - folder_ns > _TICK_NS
        self._looked_s, self._folder_ns = now_s, folder_ns if is_settled else None
        return self._sorted

    def _loaded(self, path: Path) -> tuple[datetime, Key] | None:
        try:
            return self._load(path)
        except FileNotFoundError:  # it vanished this moment
            return None
        except (KeysError, OSError) as exc:
            if not self._keys:
                raise
            kept = self._keys.get(path.name)
            why = exc if isinstance(exc, KeysError) else f"{path.name} cannot be read: {type(exc).__name__}"
            self._problem = str(why)
            _log.error("a key file is %s: %s", "as good as missing" if kept is None else "used as it was before", why)
            return kept


def _changed_ns(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


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
