"""Keeps the state in a file, so that numbers stay owned and the ledger stays true over a restart."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from ehr_sandbox.acs.model import State


class StateFileError(Exception):
    """The file cannot be used; the message names it and the remedy."""


class Store:
    """A place for the state: a file, or none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> State:
        """Return the saved state, or an empty one where none was saved yet; raises StateFileError."""
        if self._path is None or not self._path.exists():
            return State()
        try:
            return State.model_validate_json(self._path.read_bytes())
        except ValidationError as exc:
            raise StateFileError(
                f"'{self._path}' is no state of this simulator: remove it, or name another one"
            ) from exc

    def save(self, state: State) -> None:
        """Save the state. Whatever ends the process or the machine meanwhile leaves the old state or the new one."""
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.new")
        with draft.open("w", encoding="utf-8") as file:
            file.write(state.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        _sync_folder(self._path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last: until then the name may still lead to the old file after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
