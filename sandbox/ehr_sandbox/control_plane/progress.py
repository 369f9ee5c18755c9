"""How long work tells a person what it does, how far it is and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console

_PLAIN_LINE_INTERVAL_S = 10.0
_MIB = 1024 * 1024


class Progress(Protocol):
    """What downloads, builds and starts report to.

    It is called at least once a second while work goes on. Whatever it raises stops the work cleanly, which is how a
    caller in another thread interrupts it.
    """

    def begin(self, what: str) -> None:
        """A new piece of work starts; the one before it, if any, is over."""
        ...

    def advance(self, done: int, total: int | None, unit: str) -> None:
        """`done` of `total` units are finished; `total` is None when nobody knows it. The unit 'bytes' becomes MiB."""
        ...

    def end(self, outcome: str) -> None:
        """The piece of work is over, with this outcome."""
        ...

    def note(self, message: str) -> None:
        """Something worth a line of its own, such as why the next source is tried."""
        ...


@contextmanager
def piece_of_work(progress: Progress, what: str) -> Generator[None]:
    """Report that work begins, and should it fail, that it is over; the block itself reports a good end."""
    progress.begin(what)
    try:
        yield
    except Exception:
        progress.end("failed")
        raise
    except BaseException:
        progress.end("interrupted")
        raise


class PlainProgress:
    """Whole lines, one at the start, one every ten seconds and one at the end: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._what = ""
        self._began_s = self._last_line_s = 0.0

    def begin(self, what: str) -> None:
        """Print what starts."""
        self._what = what
        self._began_s = self._last_line_s = self._clock()
        self._print(f"{what} ...")

    def advance(self, done: int, total: int | None, unit: str) -> None:
        """Print how far it is, unless a line was printed less than ten seconds ago."""
        now_s = self._clock()
        if now_s - self._last_line_s >= _PLAIN_LINE_INTERVAL_S:
            self._last_line_s = now_s
            self._print(f"{self._what}: {how_far(done, total, unit, now_s - self._began_s)}")

    def end(self, outcome: str) -> None:
        """Print the outcome and the time that it took."""
        self._print(f"{self._what}: {outcome} ({self._clock() - self._began_s:.1f} s)")

    def note(self, message: str) -> None:
        """Print the message."""
        self._print(message)

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class TerminalProgress:
    """One line that is rewritten in place while work goes on: for people at a terminal."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._what = ""
        self._began_s = 0.0
        self._status = self._console.status("")

    def begin(self, what: str) -> None:
        """Show the spinner with what starts."""
        self._what = what
        self._began_s = self._clock()
        self._status.update(f"{what} ...")
        self._status.start()

    def advance(self, done: int, total: int | None, unit: str) -> None:
        """Rewrite the line."""
        self._status.update(f"{self._what}: {how_far(done, total, unit, self._clock() - self._began_s)}")

    def end(self, outcome: str) -> None:
        """Replace the spinner by a line that stays."""
        self._status.stop()
        self.note(f"{self._what}: {outcome} ({self._clock() - self._began_s:.1f} s)")

    def note(self, message: str) -> None:
        """Print the message above the spinner."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


def progress_for(stream: TextIO) -> Progress:
    """A line that rewrites itself when `stream` is a terminal, plain lines otherwise."""
    return TerminalProgress(Console(file=stream)) if stream.isatty() else PlainProgress(stream)


def how_far(done: int, total: int | None, unit: str, elapsed_s: float) -> str:
    """How far the work is, in words: '12 of 40 MiB after 3 s', '312 of 2643 packages after 61 s', '7 s'."""
    if unit == "seconds":
        return f"{done} s"
    if unit == "bytes":
        done, total, unit = done // _MIB, None if total is None else total // _MIB, "MiB"
    share = f"{done} {unit}" if total is None else f"{done} of {total} {unit}"
    return f"{share} after {elapsed_s:.0f} s"
