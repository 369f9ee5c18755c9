"""Reads deploy/Containerfile, and plays a target's instructions in a folder: no container engine is needed, or used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
CONTAINERFILE = REPOSITORY / "deploy/Containerfile"
_ROOTS = re.compile(r"(?<![\w/])/(?=opt|build|tmp)")


@dataclass
class Stage:
    """One FROM and what follows."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def stages() -> dict[str, Stage]:
    """Return the stages by name."""
    found: dict[str, Stage] = {}
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", "")
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        match word:
            case "" | "ARG":
                continue
            case "FROM":
                base, _, name = rest.partition(" AS ")
                found[name] = Stage(name, base)
            case _:
                [*_, last] = found.values()
                last.instructions.append((word, rest))
    return found


def lineage(target: str) -> Iterator[Stage]:
    """Yield the stages of which a target is made, its first base first."""
    stage = stages().get(target)
    if stage is not None:
        yield from lineage(stage.base)
        yield stage


def last(target: str, word: str) -> str:
    """Return the argument of the last such instruction that holds for a target."""
    return [rest for stage in lineage(target) for found, rest in stage.instructions if found == word][-1]


def environment(target: str) -> dict[str, str]:
    """Return the variables that a target sets."""
    lines = [rest for stage in lineage(target) for word, rest in stage.instructions if word == "ENV"]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def play(target: str, root: Path, path: str) -> None:
    """Do what the instructions of a target say, with `root` in place of `/`; `path` is where `python` is found.

    Raises:
        AssertionError: An instruction is unknown, or fails.
    """
    variables = {key: value for key, value in environment(target).items() if key.startswith("PIP_")}
    workdir = root
    for stage in lineage(target):
        for word, rest in stage.instructions:
            match word:
                case "WORKDIR":
                    workdir = Path(inside(root, rest))
                    workdir.mkdir(parents=True, exist_ok=True)
                case "COPY" if rest.startswith("--from="):
                    source, copied, place = rest.removeprefix("--from=").split()
                    assert copied == place, "a copy between stages keeps its place: environments cannot be moved"
                    play(source, root, path)
                    assert Path(inside(root, place)).is_dir()
                case "COPY":
                    copied, place = rest.split()
                    _copy(REPOSITORY / copied, workdir / inside(root, place))
                case "RUN":
                    done = subprocess.run(
                        ["sh", "-ec", inside(root, rest)],
                        cwd=workdir,
                        env={**os.environ, **variables, "PATH": path},
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    assert done.returncode == 0, f"{rest}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
                case _:
                    assert word in {"ENV", "USER", "EXPOSE", "ENTRYPOINT"}, word


def inside(root: Path, text: str) -> str:
    """Return the text with the folders of the image moved below `root`."""
    return _ROOTS.sub(f"{root}/", text)


def _copy(source: Path, place: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
