"""Official downloads of the control plane's programs; nothing is kept whose SHA-256 is not the published one."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from ehr_sandbox.control_plane.binaries import ETCD_VERSION, KUBERNETES_VERSION, Binary, Platform
from ehr_sandbox.control_plane.progress import Progress, piece_of_work
from ehr_sandbox.control_plane.sources import SourceError

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_CHUNK_BYTES = 256 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DownloadSource:
    """The Kubernetes project's download site and the etcd project's releases.

    Source: https://kubernetes.io/releases/download/ and https://github.com/etcd-io/etcd/releases
    """

    platform: Platform
    kubernetes_url: str = "https://dl.k8s.io/release"
    etcd_url: str = "https://github.com/etcd-io/etcd/releases/download"

    @property
    def name(self) -> str:
        """What people are told was tried."""
        return "official download"

    def fetch(self, wanted: Sequence[Binary], into: Path, progress: Progress) -> Iterator[Binary]:
        """Download one program after the other into `into`; a site that fails does not keep the other from being asked.

        Raises:
            SourceError: There is no download for this platform, the network failed, or a checksum differs.
        """
        if self.platform.os != "linux":
            raise SourceError(f"the Kubernetes project publishes no API server for {self.platform.os}")
        failures: dict[str, str] = {}
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as http:
            for binary in wanted:
                site = self.etcd_url if binary is Binary.ETCD else self.kubernetes_url
                if site in failures:
                    continue
                try:
                    self._fetch_one(http, binary, into, progress)
                except httpx.HTTPError as exc:
                    failures[site] = _reason(exc)
                else:
                    yield binary
        if failures:
            raise SourceError("; ".join(failures.values()))

    def _fetch_one(self, http: httpx.Client, binary: Binary, into: Path, progress: Progress) -> None:
        if binary is not Binary.ETCD:
            url = f"{self.kubernetes_url}/v{KUBERNETES_VERSION}/bin/{self.platform.os}/{self.platform.arch}/{binary}"
            digest = _published_digest(_text(http, f"{url}.sha256"), binary)
            _save(http, url, into / binary, digest, progress)
        else:
            folder = f"etcd-v{ETCD_VERSION}-{self.platform}"
            archive = into / f"{folder}.tar.gz"
            base = f"{self.etcd_url}/v{ETCD_VERSION}"
            digest = _published_digest(_text(http, f"{base}/SHA256SUMS"), archive.name)
            _save(http, f"{base}/{archive.name}", archive, digest, progress)
            _extract(archive, f"{folder}/{binary}", into / binary)
        (into / binary).chmod(0o755)


def _text(http: httpx.Client, url: str) -> str:
    response = http.get(url)
    response.raise_for_status()
    return response.text


def _published_digest(text: str, file_name: str) -> str:
    """The digest for `file_name`: the file holds either one bare digest, or a line `digest  name` for each file."""
    for line in filter(str.strip, text.splitlines()):
        digest, *names = line.split()
        if _SHA256.fullmatch(digest) and names in ([], [file_name]):
            return digest
    raise SourceError(f"no SHA-256 is published for {file_name}")


def _save(http: httpx.Client, url: str, target: Path, digest: str, progress: Progress) -> None:
    seen = hashlib.sha256()
    with (
        piece_of_work(progress, f"Downloading {target.name}"),
        http.stream("GET", url) as response,
        target.open("wb") as file,
    ):
        response.raise_for_status()
        total_bytes = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            file.write(chunk)
            seen.update(chunk)
            progress.advance(file.tell(), total_bytes, "bytes")
        if seen.hexdigest() != digest:
            target.unlink()
            raise SourceError(f"the SHA-256 of {target.name} is {seen.hexdigest()}, but {digest} is published")
        progress.end("downloaded, checksum verified")


def _extract(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as tar:
        content = tar.extractfile(member) if member in tar.getnames() else None
        if content is None:
            raise SourceError(f"{archive.name} holds no file {member}")
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
    archive.unlink()


def _reason(exc: httpx.HTTPError) -> str:
    if isinstance(exc, httpx.HTTPStatusError):
        return f"{exc.request.url.host} answered {exc.response.status_code} for {exc.request.url.path}"
    return f"{type(exc).__name__} at {exc.request.url.host}: {exc}"
