"""A certificate that is renewed while the connector runs is shown from then on, and no connection is lost to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from contract.connector.listening import LOOK_S, Serving, answered, serving_ok
from cryptography import x509

from ehr_sandbox.local_ca import LocalCA


class Mounted:
    """A Secret as a kubelet shows it: the files are links through one link, which is changed."""

    def __init__(self, folder: Path, ca: LocalCA) -> None:
        self._folder, self._ca = folder, ca
        self.chain, self.key = folder / "tls.crt", folder / "tls.key"
        self.issue()
        self.chain.symlink_to("..data/tls.crt")
        self.key.symlink_to("..data/tls.key")

    def issue(self) -> int:
        """Put a new certificate in place of the former, and return its serial number."""
        chain, key = self._ca.server_certificate(f"renewed-{uuid.uuid4().hex}", "localhost")
        self.show(chain.read_bytes(), key.read_bytes())
        return x509.load_pem_x509_certificate(chain.read_bytes()).serial_number

    def show(self, chain: bytes, key: bytes) -> None:
        """Put these files there."""
        version = self._folder / f"..{uuid.uuid4().hex}"
        version.mkdir()
        (version / "tls.crt").write_bytes(chain)
        (version / "tls.key").write_bytes(key)
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self._folder / "..data")


@pytest.fixture
def mounted(tmp_path: Path, ca: LocalCA) -> Mounted:
    return Mounted(tmp_path, ca)


@pytest.fixture
async def serving(mounted: Mounted, ca: LocalCA) -> AsyncGenerator[Serving]:
    async with serving_ok(ca, mounted.chain, mounted.key) as served:
        yield served


async def test_a_renewed_certificate_is_shown_at_the_next_handshake(serving: Serving, mounted: Mounted) -> None:
    first = await serving.serial()
    renewed = mounted.issue()
    assert renewed != first

    await serving.shows(renewed)


async def test_a_connection_that_stands_goes_on_over_a_renewal(serving: Serving, mounted: Mounted) -> None:
    connection = await serving.connect()
    assert await answered(*connection) == b"ok"

    await serving.shows(mounted.issue())

    assert await answered(*connection) == b"ok"
    connection[1].transport.abort()


async def test_files_that_do_not_fit_together_are_left_alone_until_they_do(
    serving: Serving, mounted: Mounted, caplog: pytest.LogCaptureFixture
) -> None:
    first = await serving.serial()
    chain = mounted.chain.read_bytes()
    mounted.issue()
    mounted.show(chain, mounted.key.read_bytes())
    while "cannot be used" not in caplog.text:  # noqa: ASYNC110 (the log is what tells)
        await asyncio.sleep(LOOK_S)
    await asyncio.sleep(4 * LOOK_S)
    assert await serving.serial() == first
    assert caplog.text.count("cannot be used") == 1

    await serving.shows(mounted.issue())


async def test_files_that_are_gone_for_a_while_do_no_harm(serving: Serving, mounted: Mounted) -> None:
    first = await serving.serial()
    mounted.chain.parent.joinpath("..data").unlink()
    await asyncio.sleep(4 * LOOK_S)
    assert await serving.serial() == first

    await serving.shows(mounted.issue())
