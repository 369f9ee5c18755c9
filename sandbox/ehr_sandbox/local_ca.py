"""A certificate authority of this machine alone, so that the simulators and the programs speak TLS as in production."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class LocalCA:
    """An authority whose key lives in memory only: when the program ends, nothing more can be issued under it."""

    folder: Path
    _authority: trustme.CA

    @classmethod
    def create(cls, folder: Path) -> LocalCA:
        """Make an authority and write its certificate to `folder`, which is made if it is missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = trustme.CA(organization_name="teams-ehr-connector local authority")
        ca = cls(folder, authority)
        _write(ca.ca_file, authority.cert_pem.bytes(), mode=0o644)
        return ca

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, PEM."""
        return self.folder / "ca.pem"

    def server_certificate(self, name: str, *hosts: str, not_after: datetime | None = None) -> tuple[Path, Path]:
        """Issue a certificate and return the PEM files of its chain and of its key, which only this user may read.

        Args:
            name: Names the files; a certificate that was issued under the same name is replaced.
            hosts: Host names and IP addresses that the certificate holds for, at least one.
            not_after: When it expires, years ahead unless it is given; a past time gives an expired certificate.
        """
        leaf = self._authority.issue_cert(*hosts, not_after=not_after)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        _write(chain, b"".join(blob.bytes() for blob in leaf.cert_chain_pems), mode=0o644)
        _write(key, leaf.private_key_pem.bytes(), mode=0o600)
        return chain, key

    def client_context(self) -> ssl.SSLContext:
        """Return the TLS settings of a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=self.ca_file)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
