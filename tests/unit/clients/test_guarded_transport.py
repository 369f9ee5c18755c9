"""Connections go where the guard looked, and nowhere else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from unit.clients.conftest import Server, application

from ehr_clients import guard, limits
from ehr_clients.errors import RemoteError, TemporaryError
from ehr_clients.guard import Address, AddressRefusedError, GuardedTransport, ResolutionError, system_resolve
from ehr_clients.http import client, exchange, tls_context, tls_failure
from ehr_clients.transport import HttpTransport
from ehr_sandbox.serving import serve

LOOPBACK = [ip_network("127.0.0.0/8")]
NAMES: Any = {"system": "FHIR server", "operation": "read CapabilityStatement"}


class Resolver:
    """Answers with one list of addresses after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = [[ip_address(address) for address in answer] for answer in answers]
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append((host, port))
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@asynccontextmanager
async def guarded(
    resolve: Any, *, allowed: Any = LOOPBACK, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(transport=GuardedTransport(tls=tls or tls_context(), allowed=allowed, resolve=resolve)) as made:
        yield made


def port_of(server: Server) -> int:
    return httpx.URL(server.url).port or 0


async def get(http: httpx.AsyncClient, url: str) -> int:
    return (await exchange(http, httpx.Request("GET", url), **NAMES, timeout_s=5)).status


async def test_a_request_goes_to_the_checked_address_under_the_name_that_was_asked_for(server: Server) -> None:
    port = port_of(server)

    async with guarded(Resolver(["127.0.0.1"])) as http:
        assert await get(http, f"http://hospital.example:{port}/hello") == 200

    assert server.seen[0]["host"] == f"hospital.example:{port}"


async def test_a_name_that_resolves_to_something_else_a_moment_later_changes_nothing(server: Server) -> None:
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])
    url = f"http://hospital.example:{port_of(server)}/hello"

    async with guarded(resolver) as http:
        assert [await get(http, url), await get(http, url)] == [200, 200]

    assert resolver.asked == [("hospital.example", port_of(server))]


async def test_the_address_that_was_pinned_is_the_one_that_requests_go_to(server: Server) -> None:
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    transport = GuardedTransport(tls=tls_context(), allowed=LOOPBACK, resolve=resolver)

    async with client(transport=transport) as http:
        pinned = await transport.pin("hospital.example", port_of(server))
        status = await get(http, f"http://hospital.example:{port_of(server)}/hello")

    assert (pinned, status) == (ip_address("127.0.0.1"), 200)


async def test_as_many_requests_run_at_once_as_the_caller_allows() -> None:
    together = asyncio.Barrier(8)

    async def wait_for_the_others(_request: Request) -> Response:
        async with asyncio.timeout(3):
            await together.wait()
        return Response()

    transport = GuardedTransport(
        tls=tls_context(), allowed=LOOPBACK, resolve=Resolver(["127.0.0.1"]), max_connections=8
    )
    async with (
        serve(Starlette(routes=[Route("/", wait_for_the_others)])) as url,
        client(transport=transport) as http,
    ):
        address = f"http://hospital.example:{httpx.URL(url).port}/"
        assert await asyncio.gather(*(get(http, address) for _ in range(8))) == [200] * 8


async def test_first_requests_that_come_at_once_share_their_connections(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[HttpTransport] = []

    class Counted(HttpTransport):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            made.append(self)

    async def slowly(_host: str, _port: int) -> Sequence[Address]:
        await asyncio.sleep(0)
        return [ip_address("127.0.0.1")]

    monkeypatch.setattr(guard, "HttpTransport", Counted)
    async with guarded(slowly) as http:
        url = f"http://hospital.example:{port_of(server)}/hello"
        assert await asyncio.gather(*(get(http, url) for _ in range(5))) == [200] * 5

    assert len(made) == 1


@pytest.mark.parametrize(
    "answer",
    [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::ffff:169.254.169.254"], ["169.254.169.254"]],
)
async def test_one_refused_address_among_several_refuses_the_name(answer: list[str]) -> None:
    async with guarded(Resolver(answer), allowed=[]) as http:
        with pytest.raises(AddressRefusedError, match=r"'hospital\.example' leads to "):
            await get(http, "https://hospital.example/r4/metadata")


async def test_a_refused_name_stays_refused_only_until_it_is_looked_up_again(server: Server) -> None:
    """Nothing is pinned by a refusal: when the DNS is mended, the next request works."""
    url = f"http://hospital.example:{port_of(server)}/hello"

    async with guarded(Resolver(["10.0.0.1"], ["127.0.0.1"])) as http:
        with pytest.raises(AddressRefusedError):
            await get(http, url)
        assert await get(http, url) == 200


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001"]
)
async def test_every_way_to_write_this_machine_is_refused(host: str, server: Server) -> None:
    async with guarded(system_resolve, allowed=[]) as http:
        with pytest.raises((AddressRefusedError, ResolutionError)):
            await get(http, f"http://{host}:{port_of(server)}/hello")

    assert server.seen == []


async def test_the_systems_resolver_is_asked_where_no_other_is_given(server: Server) -> None:
    async with guarded(system_resolve, allowed=[*LOOPBACK, ip_network("::1/128")]) as http:
        assert await get(http, f"http://127.0.0.1:{port_of(server)}/hello") == 200


async def test_a_name_without_an_address_is_told_by_its_name() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[Address]:
        raise OSError(-2, "Name or service not known")

    async with guarded(unknown) as http:
        with pytest.raises(ResolutionError, match=r"^DNS: resolve: 'hospital\.example' has no address$"):
            await get(http, "https://hospital.example/r4?name=Nancy")


async def test_a_resolver_that_finds_nothing_lets_nothing_out() -> None:
    async with guarded(Resolver([])) as http:
        with pytest.raises(RemoteError, match=r"'hospital\.example' leads to no address"):
            await get(http, "https://hospital.example/r4")


async def test_a_resolver_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECT_TIMEOUT_S", 0.1)

    async def silent(_host: str, _port: int) -> Sequence[Address]:
        await asyncio.sleep(60)
        return []

    async with guarded(silent) as http:
        with pytest.raises(ResolutionError, match="has no address"):
            await get(http, "https://hospital.example/r4")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    """The product's TLS settings, with the authority of these tests added as a setting adds one."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tls_context(tmp_path / "ca.pem")


@asynccontextmanager
async def tls_server(authority: trustme.CA, folder: Path, name: str, **more: Any) -> AsyncGenerator[int]:
    """Serve over TLS as `name`, and give the port."""
    certificate = authority.issue_cert(name, **more)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    async with serve(application([]), ssl_certfile=chain, ssl_keyfile=key) as url:
        yield httpx.URL(url).port or 0


async def test_the_certificate_is_checked_against_the_name_not_the_address(
    authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    expires = datetime(2099, 1, 31, 12, 0, tzinfo=UTC)

    async with (
        tls_server(authority, tmp_path, "hospital.example", not_after=expires) as port,
        guarded(Resolver(["127.0.0.1"]), tls=trusting) as http,
    ):
        request = httpx.Request("GET", f"https://hospital.example:{port}/hello")
        answer = await exchange(http, request, **NAMES)

    assert answer.status == 200
    assert answer.certificate_expiry == expires
    assert answer.tls_version == "TLSv1.3"


async def test_a_connection_that_was_verified_for_one_name_serves_no_other(
    authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    async with (
        tls_server(authority, tmp_path, "hospital.example") as port,
        guarded(Resolver(["127.0.0.1"]), tls=trusting) as http,
    ):
        assert await get(http, f"https://hospital.example:{port}/hello") == 200
        with pytest.raises(TemporaryError, match="TLS certificate not trusted: Hostname mismatch"):
            await get(http, f"https://other.example:{port}/hello")


async def test_an_unknown_authority_is_told_as_such_and_nothing_was_sent(authority: trustme.CA, tmp_path: Path) -> None:
    async with (
        tls_server(authority, tmp_path, "hospital.example") as port,
        guarded(Resolver(["127.0.0.1"])) as http,
    ):
        with pytest.raises(TemporaryError, match="TLS certificate not trusted: ") as caught:
            await get(http, f"https://hospital.example:{port}/hello?name=Nancy")

    assert not caught.value.ambiguous
    assert isinstance(tls_failure(caught.value), ssl.SSLCertVerificationError)
    assert "Nancy" not in str(caught.value)


async def test_an_expired_certificate_is_told_as_such(
    authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    past = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 2, 1, tzinfo=UTC)}

    async with (
        tls_server(authority, tmp_path, "hospital.example", **past) as port,
        guarded(Resolver(["127.0.0.1"]), tls=trusting) as http,
    ):
        with pytest.raises(TemporaryError, match="TLS certificate not trusted: certificate has expired"):
            await get(http, f"https://hospital.example:{port}/hello")


async def test_a_certificate_that_is_not_trusted_can_be_read_without_sending_anything(
    authority: trustme.CA, tmp_path: Path
) -> None:
    span = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 2, 1, tzinfo=UTC)}
    transport = GuardedTransport(tls=tls_context(), allowed=LOOPBACK, resolve=Resolver(["127.0.0.1"]))

    async with tls_server(authority, tmp_path, "hospital.example", **span) as port, client(transport=transport):
        shown = await transport.presented_certificate("other.example", port)

    assert shown is not None
    assert (shown.names, shown.not_before, shown.not_after) == (("hospital.example",), *span.values())
    assert shown.issuer.startswith("Testing CA #")


async def test_a_server_that_shows_no_certificate_gives_none(server: Server) -> None:
    transport = GuardedTransport(tls=tls_context(), allowed=LOOPBACK, resolve=Resolver(["127.0.0.1"]))

    assert await transport.presented_certificate("hospital.example", port_of(server)) is None
    assert await transport.presented_certificate("hospital.example", 1) is None
    assert server.seen == []


async def test_a_certificate_is_read_at_no_address_that_is_refused() -> None:
    transport = GuardedTransport(tls=tls_context(), resolve=Resolver(["169.254.169.254"]))

    with pytest.raises(AddressRefusedError):
        await transport.presented_certificate("hospital.example", 443)


async def test_a_certificate_is_read_where_the_first_request_went(authority: trustme.CA, tmp_path: Path) -> None:
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])
    transport = GuardedTransport(tls=tls_context(), allowed=LOOPBACK, resolve=resolver)

    async with tls_server(authority, tmp_path, "hospital.example") as port, client(transport=transport) as http:
        with pytest.raises(TemporaryError):
            await get(http, f"https://hospital.example:{port}/hello")
        assert await transport.presented_certificate("hospital.example", port) is not None

    assert len(resolver.asked) == 1


async def test_plain_http_on_a_tls_address_is_a_tls_error_in_few_words(server: Server) -> None:
    async with guarded(Resolver(["127.0.0.1"])) as http:
        with pytest.raises(TemporaryError, match="TLS: ") as caught:
            await get(http, f"https://hospital.example:{port_of(server)}/hello?name=Nancy")

    assert "Nancy" not in str(caught.value)


def test_versions_before_tls_1_2_are_not_spoken() -> None:
    context = tls_context()

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("host", ["fhir..lamna.example", ".lamna.example", f"{'a' * 64}.lamna.example"])
async def test_a_name_that_cannot_be_one_has_no_address(host: str) -> None:
    transport = GuardedTransport(tls=tls_context())

    with pytest.raises(ResolutionError, match="has no address"):
        await transport.pin(host, 443)
