"""Azurite is found where it is, or fetched by npm into the cache, whole or not at all."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ehr_sandbox.azurite.finding import NoAzuriteError, Tick, cache, find, find_or_get
from ehr_sandbox.control_plane.progress import PlainProgress

MAIN = "node_modules/azurite/dist/src/queue/main.js"


class Machine:
    """Node and npm as far as they are called."""

    def __init__(self, version: str = "v24.1.0", *, failing: bool = False) -> None:
        self.version = version
        self.failing = failing
        self.installed: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str], folder: Path, tick: Tick) -> str:
        if command[-1] == "--version":
            return f"{self.version}\n"
        self.installed.append(command)
        tick(1)
        if self.failing:
            text = "npm warn something\nnpm error code EINTEGRITY\nnpm error sha512-a= integrity checksum failed\n"
            raise subprocess.CalledProcessError(1, command, stderr=text)
        assert {path.name for path in folder.iterdir()} == {"package.json", "package-lock.json"}
        (folder / MAIN).parent.mkdir(parents=True)
        (folder / MAIN).touch()
        return ""


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_one_on_the_path_is_used(environment: dict[str, str], tmp_path: Path) -> None:
    own = program(tmp_path / "bin/azurite-queue")
    machine = Machine()
    assert find_or_get(PlainProgress(), environment, run=machine) == [own]
    assert machine.installed == []


def test_a_missing_one_is_fetched_once_by_its_lock_file_and_runs_no_scripts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    node, npm = program(tmp_path / "bin/node"), program(tmp_path / "bin/npm")
    machine = Machine()
    first = find_or_get(PlainProgress(), environment, run=machine)
    second = find_or_get(PlainProgress(), environment, run=machine)

    assert first == second == [node, str(cache(environment) / MAIN)]
    [command] = machine.installed
    assert command[:3] == [npm, "ci", "--ignore-scripts"]


def test_a_node_that_is_too_old_gives_way_to_the_one_from_the_python_package(
    environment: dict[str, str], tmp_path: Path
) -> None:
    program(tmp_path / "bin/node")
    program(tmp_path / "bin/npm")
    machine = Machine("v20.20.2")
    node, _ = find_or_get(PlainProgress(), environment, run=machine, wheel=tmp_path / "wheel")

    assert node == str(tmp_path / "wheel/bin/node")
    assert machine.installed[0][:2] == [node, str(tmp_path / "wheel/lib/node_modules/npm/bin/npm-cli.js")]


def test_who_only_looks_for_it_fetches_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    node = program(tmp_path / "bin/node")
    program(tmp_path / "bin/npm")
    machine = Machine()
    before = find(environment, run=machine)
    find_or_get(PlainProgress(), environment, run=machine)
    after = find(environment, run=machine)

    assert before is None
    assert after == [node, str(cache(environment) / MAIN)]
    assert len(machine.installed) == 1


def test_a_failure_leaves_nothing_and_says_what_to_do(environment: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin/node")
    program(tmp_path / "bin/npm")
    with pytest.raises(NoAzuriteError, match=r"EINTEGRITY.*install Node 22 or newer"):
        find_or_get(PlainProgress(), environment, run=Machine(failing=True))
    assert [path.name for path in cache(environment).parent.iterdir()] == [".lock"]
