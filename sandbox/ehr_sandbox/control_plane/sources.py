"""The port behind which the sources of programs stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.progress import Progress


class SourceError(Exception):
    """A source cannot give a program; the message says why, and the next source may be tried."""


class Source(Protocol):
    """Somewhere that programs come from."""

    @property
    def name(self) -> str:
        """What people are told was tried."""
        ...

    def fetch(self, wanted: Sequence[Binary], into: Path, progress: Progress) -> Iterator[Binary]:
        """Put each program as an executable file into the folder `into`, and yield it once it is complete and checked.

        Raises:
            SourceError: This source cannot give (the rest of) them.
        """
        ...
