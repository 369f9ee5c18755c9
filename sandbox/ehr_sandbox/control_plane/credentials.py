"""The control plane's certificates, its service-account key, and kubeconfig files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_CONTEXT = "local"
_RSA_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files in one folder, by what they are for."""

    folder: Path

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server and of its client certificates."""
        return self.folder / "ca.pem"

    @property
    def server_cert(self) -> Path:
        """The API server's certificate, for loopback."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The key of `server_cert`."""
        return self.folder / "server-key.pem"

    @property
    def admin_cert(self) -> Path:
        """A client certificate of the group `system:masters`, which may do everything."""
        return self.folder / "admin.pem"

    @property
    def admin_key(self) -> Path:
        """The key of `admin_cert`."""
        return self.folder / "admin-key.pem"

    @property
    def service_account_key(self) -> Path:
        """The private key that signs service-account tokens."""
        return self.folder / "service-account-key.pem"

    @property
    def service_account_public_key(self) -> Path:
        """The public half of `service_account_key`."""
        return self.folder / "service-account.pem"


def create_credentials(folder: Path) -> Credentials:
    """Make all keys and certificates anew in `folder`, which only this user may read."""
    folder.mkdir(mode=0o700)
    credentials = Credentials(folder)
    ca = trustme.CA(organization_name="teams-ehr-connector local control plane")
    _write_private(credentials.ca_file, ca.cert_pem.bytes())
    server = ca.issue_cert("127.0.0.1", "localhost", "kubernetes.default.svc", common_name="kube-apiserver")
    admin = ca.issue_cert("local-admin", common_name="local-admin", organization_name="system:masters")
    for leaf, cert_file, key_file in (
        (server, credentials.server_cert, credentials.server_key),
        (admin, credentials.admin_cert, credentials.admin_key),
    ):
        _write_private(cert_file, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        _write_private(key_file, leaf.private_key_pem.bytes())
    # RSA, since most clusters sign with RS256; a client that knows only ES256 must fail here, not there.
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_KEY_BITS)
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_private(credentials.service_account_key, private_pem)
    _write_private(credentials.service_account_public_key, public_pem)
    return credentials


def write_admin_kubeconfig(path: Path, server_url: str, credentials: Credentials) -> None:
    """A kubeconfig that may do everything, by client certificate."""
    user = {"client-certificate": str(credentials.admin_cert), "client-key": str(credentials.admin_key)}
    _write_kubeconfig(path, server_url, credentials.ca_file, user, "default")


def write_token_kubeconfig(
    path: Path,
    server_url: str,
    ca_file: Path,
    *,
    token_file: Path | None = None,
    token: str | None = None,
    namespace: str = "default",
) -> None:
    """A kubeconfig for the bearer of a token; clients read `token_file` again when the token in it was renewed.

    Raises:
        ValueError: Not exactly one of `token_file` and `token` is given.
    """
    if (token_file is None) == (token is None):
        raise ValueError("exactly one of `token_file` and `token` must be given")
    user = {"token": token} if token_file is None else {"tokenFile": str(token_file.absolute())}
    _write_kubeconfig(path, server_url, ca_file, user, namespace)


def _write_kubeconfig(
    path: Path, server_url: str, ca_file: Path, user: Mapping[str, str | None], namespace: str
) -> None:
    cluster = {"server": server_url, "certificate-authority": str(ca_file)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CONTEXT, "cluster": cluster}],
        "users": [{"name": _CONTEXT, "user": dict(user)}],
        "contexts": [{"name": _CONTEXT, "context": {"cluster": _CONTEXT, "user": _CONTEXT, "namespace": namespace}}],
        "current-context": _CONTEXT,
    }
    _write_private(path, yaml.safe_dump(document, sort_keys=False).encode())


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
