"""A local EHR over HTTPS with certificates good and bad, and the operator's probes with a name server of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
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
        self, ehr: Ehr, *, name: str = HOST, expired: bool = False, strange: bool = False, plain: bool = False
    ) -> str:
        """Serve an EHR with a certificate for `name` and return its origin under the host name of the tests."""
        if plain:
            url = await self._resources.enter_async_context(serve(ehr.app))
        else:
            past = datetime.now(UTC) - timedelta(days=1) if expired else None
            authority = self._strange if strange else self.ca
            chain, key = authority.server_certificate(f"ehr-{name}", name, not_after=past)
            url = await self._resources.enter_async_context(serve(ehr.app, ssl_certfile=chain, ssl_keyfile=key))
        return f"https://{HOST}:{urlsplit(url).port}"

    def probes(self, *, allowed: Sequence[Network] = LOOPBACK, addresses: Sequence[str] = ("127.0.0.1",)) -> EhrProbes:
        """Return probes that trust the authority of the tests and find every name at `addresses`."""

        async def resolve(host: str, port: int) -> Sequence[Address]:  # noqa: ARG001 (the signature of Resolve)
            self.resolved.append(host)
            if not addresses:
                raise OSError("no such name")
            return [ip_address(address) for address in addresses]

        return EhrProbes(tls_context(self.ca.ca_file), allowed, resolve)


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncGenerator[Hospital]:
    async with AsyncExitStack() as resources:
        yield Hospital(tmp_path, resources)
