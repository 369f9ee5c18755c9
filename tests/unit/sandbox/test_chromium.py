"""A browser is found where it is, or unpacked into the cache, whole or not at all."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ehr_sandbox.chromium.finding import NAMED, NoChromiumError, cache, find_or_get

SIMULATION = """\
NOTE: This is only a simulation!
Inst libnss3 (2:3.87.1-1 Debian:12/stable [amd64])
Inst chromium [155.0-1] (156.0-1 Debian-Security:12/stable-security [amd64])
Conf chromium (156.0-1 Debian-Security:12/stable-security [amd64])
"""


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho Chromium\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


class Debian:
    """apt and dpkg as far as they are called."""

    def __init__(self, *, failing: str | None = None) -> None:
        self.failing = failing
        self.downloaded: list[str] = []

    def __call__(self, command: Sequence[str], folder: Path) -> str:
        if self.failing and self.failing in command:
            raise subprocess.CalledProcessError(100, command, stderr="E: Unable to locate package chromium\n")
        if "--simulate" in command:
            return SIMULATION
        if "download" in command:
            self.downloaded = [*command[2:]]
            (folder / "chromium.deb").write_text("")
        if command[0] == "dpkg-deb":
            program(Path(command[3]) / "usr/lib/chromium/chromium")
            (Path(command[3]) / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
            (Path(command[3]) / "usr/lib/x86_64-linux-gnu/libnss3.so").write_text("")
        if command[0].endswith("/start"):
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return ""


def never(_command: Sequence[str], _folder: Path) -> str:
    raise AssertionError("nothing is to be fetched")


def test_a_named_browser_goes_before_all_others(environment: dict[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin/chromium")
    named = program(tmp_path / "mine")
    assert find_or_get(environment | {NAMED: str(named)}, run=never) == named


def test_one_on_the_path_is_used(environment: dict[str, str], tmp_path: Path) -> None:
    path = program(tmp_path / "bin/chromium")
    assert find_or_get(environment, run=never) == path


def test_playwrights_own_is_used(environment: dict[str, str], tmp_path: Path) -> None:
    own = program(tmp_path / "ms-playwright/chrome")
    assert find_or_get(environment, playwrights=own, run=never) == own


def test_a_missing_one_is_unpacked_once(environment: dict[str, str]) -> None:
    debian = Debian()
    told: list[str] = []
    path = find_or_get(environment, run=debian, tell=told.append)
    assert debian.downloaded == ["libnss3=2:3.87.1-1", "chromium=156.0-1", "fonts-wqy-microhei"]
    assert (path.parent / "fonts.conf").is_file()
    assert path == cache(environment) / "start"
    assert len(told) == 1
    assert find_or_get(environment, run=never) == path


@pytest.mark.parametrize("failing", ["--simulate", "download", "dpkg-deb"])
def test_a_failure_leaves_nothing_and_says_what_to_do(environment: dict[str, str], failing: str) -> None:
    with pytest.raises(NoChromiumError, match=r"Unable to locate package.*apt-get install chromium"):
        find_or_get(environment, run=Debian(failing=failing), tell=lambda _line: None)
    assert [*cache(environment).parent.iterdir()] == []


def test_a_named_browser_that_is_none_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(NoChromiumError, match="is no program"):
        find_or_get(environment | {NAMED: str(tmp_path / "nothing")}, run=never)
