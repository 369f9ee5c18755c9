"""People who wait see what is done, how far it is and how long it took."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ehr_sandbox.control_plane.progress import PlainProgress, TerminalProgress, how_far, piece_of_work, progress_for


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_plain_lines_come_at_the_start_every_ten_seconds_and_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)

    progress.begin("Building")
    for second in range(1, 26):
        clock.now_s = second
        progress.advance(second * 10, 300, "packages")
    progress.end("built")

    assert stream.getvalue().splitlines() == [
        "Building ...",
        "Building: 100 of 300 packages after 10 s",
        "Building: 200 of 300 packages after 20 s",
        "Building: built (25.0 s)",
    ]


def test_a_terminal_keeps_only_the_outcome_and_the_notes() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = TerminalProgress(Console(file=stream, force_terminal=False), clock)

    progress.begin("Downloading [etcd]")
    clock.now_s = 2.5
    progress.advance(5, None, "bytes")
    progress.note("[a note]")
    progress.end("done")

    assert stream.getvalue().splitlines() == ["[a note]", "Downloading [etcd]: done (2.5 s)"]


@pytest.mark.parametrize(("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_work_that_ends_early_is_reported_as_over(error: type[BaseException], outcome: str) -> None:
    stream = io.StringIO()

    with pytest.raises(error), piece_of_work(PlainProgress(stream, Clock()), "Building"):
        raise error

    assert stream.getvalue().splitlines() == ["Building ...", f"Building: {outcome} (0.0 s)"]


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(progress_for(io.StringIO()), PlainProgress)


@pytest.mark.parametrize(
    ("done", "total", "unit", "words"),
    [
        (12 * 1024 * 1024, 40 * 1024 * 1024, "bytes", "12 of 40 MiB after 3 s"),
        (12 * 1024 * 1024, None, "bytes", "12 MiB after 3 s"),
        (312, 2643, "packages", "312 of 2643 packages after 3 s"),
        (3, None, "seconds", "3 s"),
    ],
)
def test_how_far_is_said_in_words(done: int, total: int | None, unit: str, words: str) -> None:
    assert how_far(done, total, unit, 3.2) == words
