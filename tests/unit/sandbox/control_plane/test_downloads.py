"""Downloads are kept only when their checksum is the published one."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from unit.sandbox.control_plane.shelf import RecordingProgress

from ehr_sandbox.control_plane.binaries import ETCD_VERSION, KUBERNETES_VERSION, Binary, Platform
from ehr_sandbox.control_plane.download import DownloadSource
from ehr_sandbox.control_plane.sources import SourceError

LINUX = Platform("linux", "amd64")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # The base class names it so.
        """Keep the test's output to the test."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy in small of both download sites, with right checksums."""
    root = tmp_path / "site"
    kubernetes = root / f"v{KUBERNETES_VERSION}" / "bin" / "linux" / "amd64"
    kubernetes.mkdir(parents=True)
    for binary in set(Binary) - {Binary.ETCD}:
        content = f"program {binary}".encode()
        (kubernetes / binary).write_bytes(content)
        (kubernetes / f"{binary}.sha256").write_text(hashlib.sha256(content).hexdigest())
    folder = f"etcd-v{ETCD_VERSION}-linux-amd64"
    archive = root / f"v{ETCD_VERSION}" / f"{folder}.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(f"{folder}/etcd")
        member.size = len(b"program etcd")
        tar.addfile(member, io.BytesIO(b"program etcd"))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (archive.parent / "SHA256SUMS").write_text(f"{'0' * 64}  other.zip\n\n{digest}  {archive.name}\n")
    return root


@pytest.fixture
def source(site: Path) -> Iterator[DownloadSource]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield DownloadSource(LINUX, kubernetes_url=url, etcd_url=url)
        server.shutdown()
        thread.join()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_every_program_is_downloaded_and_made_executable(
    source: DownloadSource, into: Path, progress: RecordingProgress
) -> None:
    fetched = list(source.fetch(list(Binary), into, progress))

    assert fetched == list(Binary)
    assert {path.name: path.read_text() for path in into.iterdir()} == {name: f"program {name}" for name in Binary}
    assert all((into / binary).stat().st_mode & 0o111 for binary in Binary)


@pytest.mark.parametrize("binary", [Binary.ETCD, Binary.KUBECTL])
def test_a_download_with_another_checksum_is_refused_and_removed(
    source: DownloadSource, site: Path, into: Path, progress: RecordingProgress, binary: Binary
) -> None:
    for path in [*site.rglob("kubectl"), *site.rglob("*.tar.gz")]:
        path.write_bytes(path.read_bytes() + b"!")

    with pytest.raises(SourceError, match=r"the SHA-256 of .* is [0-9a-f]{64}, but [0-9a-f]{64} is published"):
        list(source.fetch([binary], into, progress))

    assert list(into.iterdir()) == []


def test_a_download_without_a_published_checksum_is_refused(
    source: DownloadSource, site: Path, into: Path, progress: RecordingProgress
) -> None:
    (site / f"v{ETCD_VERSION}" / "SHA256SUMS").write_text(f"{'0' * 64}  other.zip\n")

    with pytest.raises(SourceError, match=r"no SHA-256 is published for etcd-v.*\.tar\.gz"):
        list(source.fetch([Binary.ETCD], into, progress))


def test_a_missing_file_is_a_reason_to_try_the_next_source(
    source: DownloadSource, site: Path, into: Path, progress: RecordingProgress
) -> None:
    for path in site.rglob("kubectl"):
        path.unlink()

    with pytest.raises(SourceError, match=r"127\.0\.0\.1 answered 404 for /v.*/kubectl"):
        list(source.fetch([Binary.KUBECTL], into, progress))


def test_a_site_that_fails_does_not_keep_the_other_from_being_asked(
    source: DownloadSource, into: Path, progress: RecordingProgress
) -> None:
    half = DownloadSource(LINUX, kubernetes_url=source.kubernetes_url, etcd_url=f"{source.etcd_url}/gone")

    with pytest.raises(SourceError, match=r"answered 404 for /gone/.*/SHA256SUMS"):
        list(half.fetch(list(Binary), into, progress))

    assert sorted(path.name for path in into.iterdir()) == ["kube-apiserver", "kube-controller-manager", "kubectl"]


def test_a_site_that_cannot_be_reached_is_a_reason_to_try_the_next_source(
    into: Path, progress: RecordingProgress
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as closed_soon:
        url = f"http://127.0.0.1:{closed_soon.server_port}"

    with pytest.raises(SourceError, match=r"ConnectError at 127\.0\.0\.1"):
        list(DownloadSource(LINUX, kubernetes_url=url).fetch([Binary.KUBECTL], into, progress))


def test_other_systems_than_linux_are_told_that_there_is_no_download(into: Path, progress: RecordingProgress) -> None:
    source = DownloadSource(Platform("darwin", "arm64"))

    with pytest.raises(SourceError, match="publishes no API server for darwin"):
        list(source.fetch([Binary.KUBECTL], into, progress))
