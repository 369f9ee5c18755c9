"""A local EHR over HTTPS with certificates good and bad, and the operator's probes with a name server of their own."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from contract.operator_probes.server import Ehr

from ehr_clients.guard import Address, Network
from ehr_clients.http import tls_context
from ehr_operator.fhir_endpoint.probes import EhrProbes
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

HOST = "fhir.lamna.test"
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"),)
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class Hospital:
    """Starts EHRs and makes probes; what it started ends with the test."""

    def __init__(self, folder: Path, resources: AsyncExitStack) -> None:
        self.ca = LocalCA.create(folder / "ca")
        self._strange = LocalCA.create(folder / "strange")
        self._resources = resources
        self.resolved: list[str] = []

    async def start(
        self,
        ehr: Ehr,
        *,
        name: str = HOST,
        expired: bool = False,
        not_after: datetime | None = None,
        strange: bool = False,
        plain: bool = False,
        own: tuple[Path, Path] | None = None,
    ) -> str:
        """Serve an EHR with a certificate for `name` and return its origin under the host name of the tests.

        `own` are the files of a chain and its key, in place of one that is issued here.
        """
        if plain:
            url = await self._resources.enter_async_context(serve(ehr.app))
        else:
            past = datetime.now(UTC) - timedelta(days=1) if expired else not_after
            authority = self._strange if strange else self.ca
            chain, key = own or authority.server_certificate(f"ehr-{name}", name, not_after=past)
            url = await self._resources.enter_async_context(serve(ehr.app, ssl_certfile=chain, ssl_keyfile=key))
        return f"https://{HOST}:{urlsplit(url).port}"

    async def start_old(self) -> str:
        """Listen with TLS 1.1 alone, which answers nobody who asks for more; return the origin."""
        chain, key = self.ca.server_certificate(f"ehr-{HOST}", HOST)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the library itself holds TLS 1.1 for broken
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        server = _OldServer(context)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self._resources.callback(thread.join)
        self._resources.callback(server.server_close)
        self._resources.callback(server.shutdown)
        return f"https://{HOST}:{server.server_address[1]}"

    def probes_with(self, resolve: Resolve) -> EhrProbes:
        """Return probes that trust the authority of the tests, with this name server."""
        return EhrProbes(tls_context(self.ca.ca_file), LOOPBACK, resolve)

    def probes(self, *, allowed: Sequence[Network] = LOOPBACK, addresses: Sequence[str] = ("127.0.0.1",)) -> EhrProbes:
        """Return probes that trust the authority of the tests and find every name at `addresses`."""

        async def resolve(host: str, port: int) -> Sequence[Address]:  # noqa: ARG001 (the signature of Resolve)
            self.resolved.append(host)
            if not addresses:
                raise OSError("no such name")
            return [ip_address(address) for address in addresses]

        return EhrProbes(tls_context(self.ca.ca_file), allowed, resolve)


class _OldServer(socketserver.TCPServer):
    """Shakes hands and says no more; in a thread, since asyncio breaks off before it tells why it refuses."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(request, server_side=True):
            pass


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncGenerator[Hospital]:
    async with AsyncExitStack() as resources:
        yield Hospital(tmp_path, resources)
