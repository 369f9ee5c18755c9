"""The local authority: who is trusted by whom, and what the files let others read."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve


@pytest.fixture
def ca(tmp_path: Path) -> LocalCA:
    return LocalCA.create(tmp_path / "new" / "ca")


async def _status(certificate: tuple[Path, Path], trust: ssl.SSLContext, host: str) -> int:
    """Serve under the certificate and return what a client gets that calls the server by the name `host`."""
    async with (
        serve(Starlette(), ssl_certfile=certificate[0], ssl_keyfile=certificate[1]) as url,
        httpx.AsyncClient(verify=trust, trust_env=False) as http,
    ):
        return (await http.get(url.replace("127.0.0.1", host))).status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_client_of_the_authority_trusts_its_servers_by_name_and_by_address(ca: LocalCA, host: str) -> None:
    certificate = ca.server_certificate("server", "localhost", "127.0.0.1")

    assert await _status(certificate, ca.client_context(), host) == 404


async def test_the_file_of_the_authority_is_enough_to_trust_its_servers(ca: LocalCA) -> None:
    certificate = ca.server_certificate("server", "127.0.0.1")

    assert await _status(certificate, ssl.create_default_context(cafile=ca.ca_file), "127.0.0.1") == 404


async def test_a_certificate_for_another_host_is_refused(ca: LocalCA) -> None:
    certificate = ca.server_certificate("server", "ehr.example.com")

    with pytest.raises(httpx.ConnectError, match="IP address mismatch"):
        await _status(certificate, ca.client_context(), "127.0.0.1")


async def test_a_certificate_of_another_authority_is_refused(ca: LocalCA, tmp_path: Path) -> None:
    other = LocalCA.create(tmp_path / "other")

    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await _status(other.server_certificate("server", "127.0.0.1"), ca.client_context(), "127.0.0.1")


async def test_an_expired_certificate_is_refused(ca: LocalCA) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    certificate = ca.server_certificate("server", "127.0.0.1", not_after=yesterday)

    with pytest.raises(httpx.ConnectError, match="certificate has expired"):
        await _status(certificate, ca.client_context(), "127.0.0.1")


def test_the_key_can_be_read_by_this_user_alone(ca: LocalCA) -> None:
    _, key = ca.server_certificate("server", "localhost")

    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_second_certificate_of_the_same_name_replaces_the_first(ca: LocalCA) -> None:
    first = [path.read_bytes() for path in ca.server_certificate("server", "localhost")]
    second = [path.read_bytes() for path in ca.server_certificate("server", "localhost")]

    assert all(before != after for before, after in zip(first, second, strict=True))
