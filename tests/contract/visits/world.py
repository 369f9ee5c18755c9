"""A hospital for one test: the stand-ins of the EHR and of Microsoft, and a connector, each at an HTTPS address of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from contract.connector.issuer import Issuer
from fastapi import FastAPI
from free_ports import free_port
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.profile import clinician_scopes, system_scopes
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_connector.app import create_app
from ehr_connector.keys.make import new_keys
from ehr_connector.settings import Settings
from ehr_sandbox.cerner.app import create_app as create_cerner
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.graph.app import create_app as create_graph
from ehr_sandbox.graph.settings import GraphSettings
from ehr_sandbox.graph.world import (
    EXAMPLE_CLIENT,
    EXAMPLE_CLINICIAN,
    EXAMPLE_ORGANIZER,
    EXAMPLE_SECRET,
    EXAMPLE_TENANT,
    example_world,
)
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

TENANT = "5f3c2a10-0000-4000-8000-000000000001"
OTHER_TENANT = "5f3c2a10-0000-4000-8000-000000000002"
SYSTEM, CLINICIAN_APP = "lamna-system", "lamna-clinician"
LOCATION, PRACTITIONER = "21304876", "4122600"
ENTRA_TENANT, CLINICIAN, ORGANIZER = EXAMPLE_TENANT, EXAMPLE_CLINICIAN, EXAMPLE_ORGANIZER
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/155.0.0.0 Safari/537.36 Edg/155.0.0.0"
)
Document = dict[str, Any]
SPREAD_S = 0.6
"""A change of the configuration reaches every page in half a second."""


@dataclass
class Clock:
    """The connector's clock: the real one, ahead of it, or standing still."""

    ahead: timedelta = timedelta()
    at: datetime | None = None

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at or datetime.now(UTC) + self.ahead


@dataclass
class World:
    """Everything that runs, and ways to act in it."""

    ca: LocalCA
    work: Path
    stack: AsyncExitStack
    issuer: Issuer
    http: httpx.AsyncClient
    """Acts as administrator of the stand-ins; follows no redirect."""
    location: str = LOCATION
    """Where visits are booked."""
    cerner: str = ""
    graph: str = ""
    connector: str = ""
    app: FastAPI | None = None
    document: Document = field(default_factory=dict[str, Any])
    usual: Document = field(default_factory=dict[str, Any])
    """The document as at the beginning."""
    clock: Clock = field(default_factory=Clock)
    settings: Document = field(default_factory=dict[str, Any])
    tls: dict[str, Any] = field(default_factory=dict[str, Any])
    running: AsyncExitStack = field(default_factory=AsyncExitStack)
    """The connector itself, so that it can be stopped before the rest."""

    async def start(self) -> None:
        """Start the connector, again after `running` was closed."""
        self.app = create_app(Settings.model_validate(self.settings), now=self.clock)
        port = int(self.connector.rpartition(":")[2])
        await self.running.enter_async_context(serve(self.app, port=port, **self.tls))

    async def restart(self) -> None:
        """Stop the connector and start it anew, on the same database."""
        await self.running.aclose()
        await self.start()

    async def undisturb(self) -> None:
        """Let everything be as at the beginning, whatever a test that failed in the middle left behind."""
        self.clock.ahead, self.clock.at = timedelta(), None
        for system in (self.cerner, self.graph):
            await _tried(lambda at=system: self.control(at, "PUT", "faults", json=[]))
        try:
            await self.http.get(f"{self.connector}/livez")
        except httpx.TransportError:
            await self.restart()
        if self.document != self.usual:
            self.document = deepcopy(self.usual)
            await _tried(self.configure)
            await asyncio.sleep(SPREAD_S)

    async def replica(self, **changes: Any) -> str:
        """Start another connector on the same database, and return its address; it ends with the world."""
        app = create_app(Settings.model_validate(self.settings | changes), now=self.clock)
        address = await self.running.enter_async_context(serve(app, **self.tls))
        return address.replace("127.0.0.1", "localhost")

    def base_url(self, tenant: str = TENANT) -> str:
        """The FHIR base URL of a tenant."""
        return f"{self.cerner}/r4/{tenant}"

    async def control(self, system: str, method: str, path: str, **options: Any) -> Any:
        """Use a control of a stand-in, and return its answer."""
        answer = await self.http.request(method, f"{system}/_sandbox/{path}", **options)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def fault(self, system: str, path: str, **rule: Any) -> None:
        """Let something befall every request to a stand-in whose path matches."""
        await self.control(system, "PUT", "faults", json=[{"path": path, "count": None} | rule])

    async def configure(self, **changes: Any) -> None:
        """Configure the organisation as the operator does, with changes."""
        self.document |= changes
        address = f"{self.connector}/control/v1/organizations/lamna/lamna/configuration"
        bearer = {"Authorization": f"Bearer {self.issuer.token()}"}
        standing = await self.http.get(address, headers=bearer)
        precondition = {"If-Match": standing.headers["ETag"]} if standing.status_code == 200 else {"If-None-Match": "*"}
        answer = await self.http.put(address, json=self.document, headers=bearer | precondition)
        assert answer.status_code == 204, answer.text

    async def evidence(self) -> Any:
        """The evidence of the organisation, as the operator reads it."""
        address = f"{self.connector}/control/v1/organizations/lamna/lamna/evidence"
        answer = await self.http.get(address, headers={"Authorization": f"Bearer {self.issuer.token()}"})
        assert answer.status_code == 200
        return answer.json()

    async def patient(self, **changes: Any) -> str:
        """A new patient's id."""
        made = await self.control(
            self.cerner,
            "POST",
            "patients",
            json={"tenant": TENANT, "given": "Rosa", "family": "Quillfeather"} | changes,
        )
        return made["id"]

    async def book(self, patient: str, *, starts_in: timedelta = timedelta(minutes=10), **changes: Any) -> Document:
        """Book a video visit: `{id, encounter, ...}`."""
        start = (datetime.now(UTC) + starts_in).replace(microsecond=0)
        booking = {
            "tenant": TENANT,
            "patient": patient,
            "practitioner": PRACTITIONER,
            "location": self.location,
            "start": start.isoformat(),
        }
        return await self.control(self.cerner, "POST", "appointments", json=booking | changes)

    async def change(self, appointment: str, **changes: Any) -> Any:
        """Change an appointment in the EHR."""
        return await self.control(self.cerner, "PATCH", f"appointments/{appointment}?tenant={TENANT}", json=changes)

    async def in_ehr(self, appointment: str) -> Any:
        """An appointment as the EHR has it."""
        return await self.control(self.cerner, "GET", f"appointments/{appointment}?tenant={TENANT}")

    async def meetings(self) -> list[Any]:
        """All meetings as Teams has them."""
        found = await self.control(self.graph, "GET", "meetings")
        return found["meetings"] if isinstance(found, dict) else found

    async def launch(self, patient: str, encounter: str | None, **changes: Any) -> str:
        """Make a launch in the EHR, and return its code."""
        body = {"tenant": TENANT, "practitioner": PRACTITIONER, "patient": patient, "encounter": encounter}
        made = await self.control(self.cerner, "POST", "launches", json=body | changes)
        return made["launch"]

    def browser(self) -> Browser:
        """A browser with cookies of its own; it ends with the world."""
        # A machine of its own: refused requests are limited by address.
        address = f"127.{secrets.randbelow(200) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
        transport = httpx.AsyncHTTPTransport(verify=self.ca.client_context(), trust_env=False, local_address=address)
        http = httpx.AsyncClient(transport=transport, trust_env=False, headers={"User-Agent": EDGE}, timeout=30)
        self.stack.push_async_callback(http.aclose)
        return Browser(self, http)


@dataclass
class Browser:
    """A browser as far as HTTP goes: cookies, redirects, and what it says of where a request comes from."""

    world: World
    http: httpx.AsyncClient
    visited: list[str] = field(default_factory=list[str])

    async def open(self, url: str) -> httpx.Response:
        """Follow a link to its end."""
        return await self._followed(await self.http.get(url))

    async def submit(
        self, url: str, *, follow: bool = True, site: str = "same-origin", **fields: Any
    ) -> httpx.Response:
        """Submit a form of a page of the connector."""
        answer = await self.http.post(url, data=fields, headers={"Sec-Fetch-Site": site})
        return await self._followed(answer) if follow else answer

    async def launch(self, code: str, *, iss: str | None = None, **query: str) -> httpx.Response:
        """Launch as PowerChart does, and return the page at the end."""
        params = {"iss": iss or self.world.base_url(), "launch": code} | query
        return await self._followed(await self.http.get(f"{self.world.connector}/launch/provider", params=params))

    async def _followed(self, answer: httpx.Response) -> httpx.Response:
        self.visited.append(str(answer.request.url))
        while answer.is_redirect:
            answer = await self.http.get(str(answer.request.url.join(answer.headers["Location"])))
            self.visited.append(str(answer.request.url))
        return answer


@asynccontextmanager
async def running_world(work: Path, ca: LocalCA, database_url: str, **settings: Any) -> AsyncGenerator[World]:
    """Run a hospital for the time of the block."""
    chain, key = ca.server_certificate("world", "127.0.0.1", "localhost")
    tls: dict[str, Any] = {"ssl_certfile": chain, "ssl_keyfile": key}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(verify=ca.client_context(), trust_env=False, timeout=30)
        )
        issuer = Issuer()
        issuer.url = await stack.enter_async_context(serve(issuer.app, **tls))
        world = World(ca, work, stack, issuer, http, tls=tls)
        port = free_port()
        # Two names of this machine are two sites to a browser.
        world.connector = f"https://localhost:{port}"
        jwks = f"{world.connector}/.well-known/jwks.json"
        cerner = create_cerner(
            CernerSettings(
                tenants=frozenset({TENANT, OTHER_TENANT}), client_jwks_urls={SYSTEM: jwks}, client_ca=ca.ca_file
            )
        )
        world.cerner = await stack.enter_async_context(serve(cerner, **tls))
        redirect_uris = [f"{world.connector}/launch/callback"]
        await world.control(
            world.cerner,
            "PUT",
            "clients",
            json=[{"id": CLINICIAN_APP, "redirectUris": redirect_uris, "jwksUrl": jwks}],
        )
        graph = create_graph(
            GraphSettings(ca_file=ca.ca_file), example_world(redirect_uris=[f"{world.connector}/sign-in/callback"])
        )
        world.graph = await stack.enter_async_context(serve(graph, **tls))
        secret = work / "graph-secret"
        secret.write_text(EXAMPLE_SECRET)
        if not (work / "keys").exists():
            new_keys(work / "keys", datetime.now(UTC) - timedelta(days=1))
        usual: dict[str, Any] = {
            "database_url": database_url,
            "geography": "Americas",
            "keys_dir": work / "keys",
            "control_issuer": issuer.url,
            "control_ca_file": ca.ca_file,
            "ca_file": ca.ca_file,
            "allowed_networks": "127.0.0.0/8",
            "graph_url": world.graph,
            "entra_authority": world.graph,
            "entra_instance_discovery": False,
            "graph_credential": f"client-secret:{secret}",
            "notification_token_issuer": world.graph + "/{tenant}/",
            "teams_origins": world.graph,
            "appointment_interval": 1,
        }
        world.settings = usual | settings
        stack.push_async_callback(world.running.aclose)
        await world.start()
        world.document, world.usual = document(world), document(world)
        await world.configure()
        try:
            yield world
        finally:
            # Servers wait a second for the farewell of connections that lie idle in its pool.
            await http.aclose()


def document(world: World) -> Document:
    """The organisation, with a Test endpoint that is active and a Production endpoint that is not."""
    spec: Document = {
        "configRef": {"name": "lamna"},
        "departments": [{"name": "clinic-4", "displayName": "Clinic 4", "locations": [LOCATION]}],
        "smart": {"clinicianClientID": CLINICIAN_APP, "systemClientID": SYSTEM},
        "appointments": {
            "locations": [LOCATION],
            "virtualVisitTypes": ["Video Visit"],
            "timeZone": "America/Chicago",
            "writeBackLinks": True,
            "writeBackArrival": True,
        },
    }
    endpoint = FhirEndpointSpec.model_validate(spec | {"baseURL": "https://x.example/r4", "environment": "Test"})
    common: Document = {
        "departments": spec["departments"],
        "clinicianClientID": CLINICIAN_APP,
        "clinicianScopes": clinician_scopes(endpoint),
        "systemClientID": SYSTEM,
        "systemScopes": system_scopes(endpoint),
        "appointments": spec["appointments"],
        "profileDigest": "sha256:" + "ab" * 32,
    }
    made: Document = deepcopy(ORGANIZATION_CONFIGURATION) | {
        "namespace": "lamna",
        "name": "lamna",
        "publicURL": world.connector,
    }
    made["microsoft365"] = {
        "tenantID": ENTRA_TENANT,
        "clientID": EXAMPLE_CLIENT,
        "meetingOrganizers": [ORGANIZER],
    }
    made["visits"] = made["visits"] | {"frameAncestors": [world.cerner]}
    made["endpoints"] = [
        common
        | {
            "name": "lamna-production",
            "baseURL": world.base_url(OTHER_TENANT),
            "environment": "Production",
            "active": False,
        },
        common | {"name": "lamna-test", "baseURL": world.base_url(), "environment": "Test", "active": True},
    ]
    return made


async def _tried(act: Callable[[], Awaitable[object]]) -> None:
    """Try until it succeeds: what a test left behind may be in the way at first."""
    async with asyncio.timeout(30):
        while True:
            try:
                await act()
            except (httpx.TransportError, AssertionError):
                await asyncio.sleep(0.2)
            else:
                return
