"""The command lines of etcd, kube-apiserver and kube-controller-manager."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.binaries import Binary
from ehr_sandbox.control_plane.credentials import Credentials

CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "clusterrole-aggregation-controller",
)
"""What our tests and the demo rely on. There are no nodes, so nothing that runs Pods is of use.

Source: cmd/kube-controller-manager/names/controller_names.go of Kubernetes 1.37.
"""


# Sockets in the data folder, in which all programs run. The paths are relative, since a socket's path is limited to
# about a hundred bytes.
_ETCD_URL = "unix://etcd.sock"
_PEER_URL = "unix://peer.sock"
_MEMBER = {
    "name": "local",
    "initial-cluster": f"local={_PEER_URL}",
    "initial-advertise-peer-urls": _PEER_URL,
}
"""Who etcd is: its data must be of the same member."""


@dataclass(frozen=True, slots=True)
class Component:
    """A program with its arguments."""

    binary: Binary
    command: tuple[str, ...]


def etcd(assets: Assets, data_dir: Path) -> Component:
    """A member alone, which listens on Unix sockets in the data folder: nobody else reaches it, and no port is taken."""
    flags = {
        **_MEMBER,
        "data-dir": str(data_dir / "etcd"),
        "listen-client-urls": _ETCD_URL,
        "advertise-client-urls": _ETCD_URL,
        "listen-peer-urls": _PEER_URL,
        "log-level": "warn",
        # The data outlives no crash of this machine anyway.
        "unsafe-no-fsync": "true",
    }
    return _component(assets, Binary.ETCD, flags)


def etcd_restore(etcdutl: Path, snapshot: Path, into: Path, *, bump_revision: bool) -> tuple[str, ...]:
    """The command that makes a data folder of etcd from a snapshot.

    With `bump_revision` revisions go on above all that anybody may have seen, and older ones count as compacted: whoever
    watches has to list again. Without it the cluster's clock goes back.

    Source: https://etcd.io/docs/v3.6/op-guide/recovery/#restoring-with-revision-bump
    """
    flags = {**_MEMBER, "data-dir": str(into)}
    flags |= {"bump-revision": "1000000", "mark-compacted": "true"} if bump_revision else {}
    return (str(etcdutl), "snapshot", "restore", str(snapshot), *(f"--{name}={value}" for name, value in flags.items()))


def kube_apiserver(assets: Assets, data_dir: Path, credentials: Credentials, port: int) -> Component:
    """The API server on loopback, with RBAC, and an issuer of service-account tokens at its own address."""
    server_url = server_url_of(port)
    flags = {
        "etcd-servers": _ETCD_URL,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": str(port),
        # The supervisor holds the port for us, so that nobody takes it between two starts.
        "permit-port-sharing": "true",
        # The Service `kubernetes` must not point to loopback; here nobody uses it.
        "endpoint-reconciler-type": "none",
        "cert-dir": str(data_dir / "apiserver"),
        "client-ca-file": str(credentials.ca_file),
        "tls-cert-file": str(credentials.server_cert),
        "tls-private-key-file": str(credentials.server_key),
        "authorization-mode": "RBAC",
        "service-account-issuer": server_url,
        "service-account-jwks-uri": f"{server_url}/openid/v1/jwks",
        "service-account-key-file": str(credentials.service_account_public_key),
        "service-account-signing-key-file": str(credentials.service_account_key),
        "service-cluster-ip-range": "10.0.0.0/24",
        "profiling": "false",
    }
    return _component(assets, Binary.KUBE_APISERVER, flags)


def kube_controller_manager(assets: Assets, credentials: Credentials, kubeconfig: Path) -> Component:
    """The controller manager with `CONTROLLERS` alone; it serves nothing."""
    flags = {
        "kubeconfig": str(kubeconfig),
        "controllers": ",".join(CONTROLLERS),
        "leader-elect": "false",
        "secure-port": "0",
        "root-ca-file": str(credentials.ca_file),
        "service-account-private-key-file": str(credentials.service_account_key),
        "profiling": "false",
    }
    return _component(assets, Binary.KUBE_CONTROLLER_MANAGER, flags)


def server_url_of(port: int) -> str:
    """The API server's address, which is also the issuer of its service-account tokens."""
    return f"https://127.0.0.1:{port}"


def _component(assets: Assets, binary: Binary, flags: dict[str, str]) -> Component:
    arguments = (f"--{name}={value}" for name, value in flags.items())
    return Component(binary, (str(assets.path(binary)), *arguments))
