"""The engine is taken from the nearest place that has one that is new enough."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ehr_sandbox.control_plane.binaries import Platform
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.pulumi_engine import engine
from ehr_sandbox.pulumi_engine.engine import VERSION, find


def _engine(folder: Path, version: str) -> Path:
    program = folder / "bin" / "pulumi"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho v{version}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine in the user's cache, and none on PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    folder = tmp_path / "cache" / "teams-ehr-connector" / "pulumi" / f"{VERSION}-{Platform.here()}"
    return _engine(folder, VERSION)


@pytest.mark.usefixtures("cached")
def test_an_engine_on_path_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = _engine(tmp_path / "own", "3.300.0")
    monkeypatch.setenv("PATH", f"{own.parent}{os.pathsep}/usr/bin:/bin")

    found = find(PlainProgress())

    assert (found.command, str(found.version)) == (str(own), "3.300.0")


def test_an_engine_that_is_too_old_is_passed_over(
    cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _engine(tmp_path / "old", "2.25.0")
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}/usr/bin:/bin")

    assert find(PlainProgress()).command == str(cached)


def test_the_engine_that_is_built_has_the_version_that_it_is_cached_under() -> None:
    module = Path(__file__).parents[2] / "sandbox" / "ehr_sandbox" / "pulumi_engine" / "gomod" / "go.mod"

    assert f"github.com/pulumi/pulumi/pkg/v3 v{VERSION}" in module.read_text()


def test_an_engine_that_two_want_at_once_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise OSError("no network")

    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    built = f"#!/bin/sh\\necho v{VERSION}\\n"
    go.write_text(f"#!/bin/sh\nsleep 0.3\necho once >> {tmp_path}/builds\nprintf '{built}' > pulumi\nchmod +x pulumi\n")
    go.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}/usr/bin:/bin")
    monkeypatch.setattr(engine.PulumiCommand, "install", unreachable)

    with ThreadPoolExecutor(2) as both:
        found = [one.result() for one in [both.submit(find, PlainProgress()) for _ in range(2)]]

    assert [str(one.version) for one in found] == [VERSION, VERSION]
    assert (tmp_path / "builds").read_text().split() == ["once"]
