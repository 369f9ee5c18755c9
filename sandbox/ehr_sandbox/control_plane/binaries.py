"""Which programs make up the control plane, in which versions, and for which machine."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from enum import StrEnum

KUBERNETES_VERSION = "1.37.2"
"""The version of the three Kubernetes programs; `gomod/kubernetes/go.mod` requires the same."""

ETCD_VERSION = "3.7.3"
"""The version of etcd; `gomod/etcd/go.mod` requires the same."""

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Binary(StrEnum):
    """A program of the control plane. The value is its file name."""

    ETCD = "etcd"
    KUBE_APISERVER = "kube-apiserver"
    KUBE_CONTROLLER_MANAGER = "kube-controller-manager"
    KUBECTL = "kubectl"


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and a processor, spelled as Go and the official downloads spell them."""

    os: str
    arch: str

    @classmethod
    def here(cls) -> Platform:
        """The platform of this machine; an unknown processor keeps its own name."""
        machine = platform.machine().lower()
        return cls(os=platform.system().lower(), arch=_ARCHITECTURES.get(machine, machine))

    def __str__(self) -> str:
        return f"{self.os}-{self.arch}"
