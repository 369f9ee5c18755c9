"""The objects that bench/reconcile.py applies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid5

from ehr_sandbox.demo.layout import SYSTEM_CLIENT, Layout
from ehr_sandbox.graph.world import EXAMPLE_CLIENT, EXAMPLE_ORGANIZER, EXAMPLE_TENANT
from ehr_sandbox.local_ca import LocalCA

CONFIG = "bench"
_IDS = UUID("0b8e2a54-3c1d-4f6e-9a7b-112233445566")


def config(layout: Layout, namespace: str) -> dict[str, Any]:
    """Return an organisation."""
    return {
        "apiVersion": "ehrconnector.io/v1alpha1",
        "kind": "EHRConnectorConfig",
        "metadata": {"name": CONFIG, "namespace": namespace},
        "spec": {
            "displayName": "Bench",
            "ehr": {"system": "Cerner", "release": "2024.05"},
            "dataGeography": "Americas",
            "microsoft365": {
                "tenantID": EXAMPLE_TENANT,
                "clientID": EXAMPLE_CLIENT,
                "meetingOrganizers": [EXAMPLE_ORGANIZER],
            },
            "connector": {"publicURL": layout.connector_url, "controlURL": layout.connector_url},
        },
    }


def endpoint(layout: Layout, namespace: str, number: int, *, bad_port: int | None = None) -> dict[str, Any]:
    """Return an endpoint at the stand-in, or at a server of its own that is of no use."""
    server = layout.cerner_url if bad_port is None else f"https://{_own_address(number)}:{bad_port}"
    return {
        "apiVersion": "ehrconnector.io/v1alpha1",
        "kind": "FhirEndpoint",
        "metadata": {"name": f"{'endpoint' if bad_port is None else 'bad'}-{number:05}", "namespace": namespace},
        "spec": {
            "configRef": {"name": CONFIG},
            "baseURL": f"{server}/r4/{uuid5(_IDS, f'{namespace}/{number}')}",
            "environment": "Test",
            "departments": [{"name": "clinic", "displayName": "Clinic"}],
            "smart": {"clinicianClientID": "bench-clinician", "systemClientID": SYSTEM_CLIENT},
            "appointments": {
                "locations": ["21304876"],
                "virtualVisitTypes": ["Video Visit"],
                "timeZone": "America/Chicago",
            },
        },
    }


def _own_address(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"


@asynccontextmanager
async def failing_server(ca: LocalCA, numbers: Iterable[int]) -> AsyncGenerator[int]:
    """Answer every request with 503, over TLS, at the addresses of these endpoints; yields the port."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*ca.server_certificate("failing", *(_own_address(number) for number in numbers)))

    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(fail, "0.0.0.0", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def dead_server() -> AsyncGenerator[int]:
    """Accept connections on all loopback addresses and never answer; yields the port."""

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the end of the bench
            await asyncio.sleep(60.0)
        writer.close()

    server = await asyncio.start_server(hang, "0.0.0.0", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
