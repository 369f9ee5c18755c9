"""Ending work in another thread, through the progress that it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event

from ehr_sandbox.control_plane.progress import Progress


class InterruptedWorkError(Exception):
    """Raised from a progress report to end work whose caller was cancelled."""


@dataclass(frozen=True, slots=True)
class InterruptibleProgress:
    """Passes reports on until it is interrupted; then each report ends the work that it is about."""

    inner: Progress
    interrupted: Event = field(default_factory=Event)

    def begin(self, what: str) -> None:
        """Pass it on, or raise InterruptedWorkError."""
        self._check()
        self.inner.begin(what)

    def advance(self, done: int, total: int | None, unit: str) -> None:
        """Pass it on, or raise InterruptedWorkError."""
        self._check()
        self.inner.advance(done, total, unit)

    def end(self, outcome: str) -> None:
        """Pass it on."""
        self.inner.end(outcome)

    def note(self, message: str) -> None:
        """Pass it on."""
        self.inner.note(message)

    def _check(self) -> None:
        if self.interrupted.is_set():
            raise InterruptedWorkError
