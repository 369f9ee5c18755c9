"""Keeps the state in a file, so that numbers stay owned and the ledger stays true over a restart."""

from __future__ import annotations

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
        """Save the state. A process that is killed meanwhile leaves the old state or the new one."""
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.write_text(state.model_dump_json())
        draft.replace(self._path)
