"""A recording progress report, and a source of tiny programs in place of the control plane's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.progress import Progress
from ehr_sandbox.control_plane.sources import SourceError


@dataclass
class RecordingProgress:
    """Keeps every report; `on_advance` may raise, as a report that interrupts does."""

    lines: list[str] = field(default_factory=list[str])
    on_advance: Callable[[], None] | None = None

    def begin(self, what: str) -> None:
        self.lines.append(what)

    def advance(self, done: int, total: int | None, unit: str) -> None:
        self.lines.append(f"{done}/{total} {unit}")
        if self.on_advance:
            self.on_advance()

    def end(self, outcome: str) -> None:
        self.lines.append(outcome)

    def note(self, message: str) -> None:
        self.lines.append(message)


@dataclass
class ShelfSource:
    """A source that gives what is on its shelf, in order, and refuses the rest."""

    name: str
    shelf: frozenset[Binary] = frozenset(Binary)
    asked: list[tuple[Binary, ...]] = field(default_factory=list[tuple[Binary, ...]])

    def fetch(self, wanted: Sequence[Binary], into: Path, progress: Progress) -> Iterator[Binary]:
        self.asked.append(tuple(wanted))
        for binary in wanted:
            if binary not in self.shelf:
                raise SourceError(f"no {binary} on the shelf")
            put_program(into, binary, self.name)
            progress.advance(1, 1, "bytes")
            yield binary


def put_program(folder: Path, binary: Binary, origin: str) -> Path:
    """An executable whose text tells where it came from."""
    path = folder / binary
    path.write_text(f"#!/bin/sh\necho {origin}\n")
    path.chmod(0o755)
    return path
