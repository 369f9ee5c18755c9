"""Finds a Chromium, or gets one: named -> on PATH -> Playwright's own -> cache -> Debian's package, unpacked there.

Unpacking needs no root and leaves the machine as it was: package and missing libraries go into the user's cache, and a
small script starts the browser with them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

NAMED = "PLAYWRIGHT_CHROMIUM"
"""Environment variable with the path of a browser that goes before all others."""
_ON_PATH = ("chromium", "chromium-browser", "google-chrome")
_REMEDY = (
    f"install one (`apt-get install chromium`, or `.venv/bin/playwright install chromium`), or name one in {NAMED}"
)
_LIMIT_S = 900.0
_START = """#!/bin/sh
# Starts the Chromium that was unpacked beside this file, with the libraries that were unpacked with it.
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here{libraries}"
export FONTCONFIG_PATH="${{FONTCONFIG_PATH:-$([ -d /etc/fonts ] && echo /etc/fonts || echo "$here/etc/fonts")}}"
export FONTCONFIG_FILE="${{FONTCONFIG_FILE:-$here/fonts.conf}}"
exec "$here/usr/lib/chromium/chromium" "$@"
"""
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">fonts.conf</include>
  <dir prefix="relative">usr/share/fonts</dir>
</fontconfig>
"""
"""This machine's fonts, or those of Debian's default, and those that were unpacked."""
_CHINESE = "fonts-wqy-microhei"
"""Few servers have a font with Chinese characters: without one the pages in 简体中文 are empty boxes. It is a small one."""

Run = Callable[[Sequence[str], Path], str]
"""Runs a command in a folder and returns what it printed; raises OSError or CalledProcessError."""


class NoChromiumError(Exception):
    """There is no browser and none can be had; the message says why and what to do."""


def find(environment: Mapping[str, str], *, playwrights: Path | None = None) -> Path | None:
    """Return a browser that is here already, or None; `playwrights` is where Playwright would have its own."""
    named = environment.get(NAMED)
    if named:
        return Path(named)
    for name in _ON_PATH:
        path = shutil.which(name, path=environment.get("PATH"))
        if path:
            return Path(path)
    if playwrights is not None and playwrights.is_file():
        return playwrights
    cached = cache(environment) / "start"
    return cached if cached.is_file() else None


def find_or_get(
    environment: Mapping[str, str] | None = None,
    *,
    playwrights: Path | None = None,
    tell: Callable[[str], None] = print,
    run: Run | None = None,
) -> Path:
    """Return a browser, unpacked into the cache if there is none.

    Raises:
        NoChromiumError: None can be had.
    """
    environment = os.environ if environment is None else environment
    found = find(environment, playwrights=playwrights)
    if found is not None:
        if not os.access(found, os.X_OK):
            raise NoChromiumError(f"{found} is no program: {_REMEDY}")
        return found
    tell("No Chromium here: unpacking Debian's into the cache (once, about 150 MB) ...")
    try:
        return _unpack(cache(environment), run or _run)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NoChromiumError(f"no Chromium, and Debian's package cannot be had ({_why(exc)}): {_REMEDY}") from exc


def cache(environment: Mapping[str, str]) -> Path:
    """Return the folder of the unpacked browser."""
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "teams-ehr-connector" / "chromium-with-fonts"


def _unpack(folder: Path, run: Run) -> Path:
    """Fetch the package with what it needs and is not installed, and unpack all of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="chromium-") as partial:
        work = Path(partial)
        packages = _needed(run(["apt-get", "install", "--simulate", "--no-install-recommends", "chromium"], work))
        run(["apt-get", "download", *packages, _CHINESE], work)
        content = work / "content"
        for package in sorted(work.glob("*.deb")):
            run(["dpkg-deb", "--extract", str(package), str(content)], work)
            package.unlink()
        libraries = sorted({f"/{path.parent.relative_to(content)}" for path in content.rglob("*.so*")})
        (content / "fonts.conf").write_text(_FONTS)
        start = content / "start"
        start.write_text(_START.format(libraries=":$here".join(libraries)))
        start.chmod(0o755)
        run([str(start), "--version"], work)
        # Whole or not at all: what stands in the cache has started once.
        content.rename(folder)
    return folder / "start"


def _needed(simulation: str) -> list[str]:
    """Return `name=version` of each package that apt would install."""
    lines = [line.split() for line in simulation.splitlines() if line.startswith("Inst ")]
    return [f"{words[1]}={next(word for word in words[2:] if word.startswith('('))[1:]}" for words in lines]


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        command, check=True, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S
    )
    return done.stdout


def _why(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = str(error.stderr or "").strip().splitlines()
        return lines[-1] if lines else f"status {error.returncode}"
    return str(error)
