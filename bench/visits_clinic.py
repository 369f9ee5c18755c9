"""What the bench of visits runs: a connector process as its users start it, the stand-ins, and a bare uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from visits_parts import raise_file_limit

from ehr_api.control import OrganizationConfiguration
from ehr_api.profile import clinician_scopes, system_scopes
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_connector.keys.make import new_keys
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.database import open_database
from ehr_connector.store.organizations import Organizations, Precondition, canonical
from ehr_sandbox.graph.world import (
    EXAMPLE_CLIENT,
    EXAMPLE_CLINICIAN,
    EXAMPLE_ORGANIZER,
    EXAMPLE_SECRET,
    EXAMPLE_TENANT,
)
from ehr_sandbox.local_ca import LocalCA

_TENANT, _LOCATION, _PRACTITIONER = "5f3c2a10-0000-4000-8000-000000000001", "21304876", "4122600"
_SYSTEM, _CLINICIAN_APP = "lamna-system", "lamna-clinician"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/155.0.0.0 Safari/537.36 Edg/155.0.0.0"
)


@dataclass
class Clinic:
    """Everything that runs."""

    work: Path
    ca: LocalCA
    http: httpx.AsyncClient
    cerner: str
    graph: str
    connector: str
    hello: str
    pid: int
    stack: AsyncExitStack

    async def control(self, system: str, method: str, path: str, **options: Any) -> Any:
        """Use a control of a stand-in."""
        answer = await self.http.request(method, f"{system}/_sandbox/{path}", **options)
        answer.raise_for_status()
        return answer.json()

    async def book(self) -> tuple[str, str, str]:
        """Book a visit for a patient of its own; return patient, appointment and encounter."""
        new = {"tenant": _TENANT, "given": "Rosa", "family": "Quillfeather"}
        patient = (await self.control(self.cerner, "POST", "patients", json=new))["id"]
        start = (datetime.now(UTC) + timedelta(minutes=10)).replace(microsecond=0).isoformat()
        who = {"tenant": _TENANT, "patient": patient, "practitioner": _PRACTITIONER, "location": _LOCATION}
        visit = await self.control(self.cerner, "POST", "appointments", json={**who, "start": start})
        return patient, visit["id"], visit["encounter"]

    async def link(self, appointment: str) -> str:
        """Return the patient's link, once it is in the EHR."""
        async with asyncio.timeout(120):
            while True:
                shown = await self.control(self.cerner, "GET", f"appointments/{appointment}?tenant={_TENANT}")
                if shown["links"] and shown["links"]["patient"].startswith(self.connector):
                    return shown["links"]["patient"]
                await asyncio.sleep(0.2)

    def browser(self) -> httpx.AsyncClient:
        """Return a browser with cookies of its own."""
        return httpx.AsyncClient(
            verify=self.ca.client_context(), trust_env=False, headers={"User-Agent": AGENT}, timeout=60
        )

    async def launch(self, browser: httpx.AsyncClient, patient: str, encounter: str) -> httpx.Response:
        """Launch from the EHR, and return the board."""
        who = {"tenant": _TENANT, "practitioner": _PRACTITIONER, "patient": patient, "encounter": encounter}
        code = (await self.control(self.cerner, "POST", "launches", json=who))["launch"]
        query = {"iss": f"{self.cerner}/r4/{_TENANT}", "launch": code}
        answer = await browser.get(f"{self.connector}/launch/provider", params=query, follow_redirects=True)
        answer.raise_for_status()
        return answer


async def line(process: asyncio.subprocess.Process) -> Any:
    """Return the next line of JSON that a part of the bench prints."""
    if process.stdout is None or not (line := await process.stdout.readline()):
        raise RuntimeError("a part of the bench ended")
    return json.loads(line)


@asynccontextmanager
async def part(name: str, arguments: dict[str, Any]) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a part of `visits_parts` for the time of the block."""
    path = Path(__file__).with_name("visits_parts.py")
    async with _process(str(path), name, json.dumps(arguments)) as process:
        yield process


@asynccontextmanager
async def _process(*arguments: str, env: dict[str, str] | None = None) -> AsyncGenerator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe, env=env)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def running_clinic() -> AsyncGenerator[Clinic]:
    """Run it for the time of the block."""
    raise_file_limit()
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="ehr-bench-visits-")))
        ca = LocalCA.create(work / "ca")
        chain, key = ca.server_certificate("bench", "127.0.0.1", "localhost")
        tls = {"chain": str(chain), "key": str(key), "ca_file": str(ca.ca_file)}
        connector, hello = (f"https://localhost:{_free_port()}" for _ in range(2))
        about = {"connector": connector, "tenant": _TENANT, "system_client": _SYSTEM}
        addresses = await line(await stack.enter_async_context(part("stand-ins", tls | about)))
        bare = {**tls, "port": int(hello.rpartition(":")[2])}
        await line(await stack.enter_async_context(part("hello", bare)))
        environment = _environment(work, ca, chain, key, connector, addresses["graph"])
        process = await stack.enter_async_context(_process("-m", "ehr_connector", env=environment))
        http = await stack.enter_async_context(
            httpx.AsyncClient(verify=ca.client_context(), trust_env=False, timeout=60)
        )
        await _is_ready(http, connector)
        clinic = Clinic(work, ca, http, addresses["cerner"], addresses["graph"], connector, hello, process.pid, stack)
        await _configure(clinic)
        yield clinic


def _environment(work: Path, ca: LocalCA, chain: Path, key: Path, connector: str, graph: str) -> dict[str, str]:
    new_keys(work / "keys", datetime.now(UTC) - timedelta(days=1))
    secret = work / "graph-secret"
    secret.write_text(EXAMPLE_SECRET)
    settings = {
        "DATABASE_URL": f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}",
        "GEOGRAPHY": "Americas",
        "KEYS_DIR": str(work / "keys"),
        "CONTROL_ISSUER": "https://issuer.example",
        "CA_FILE": str(ca.ca_file),
        "ALLOWED_NETWORKS": "127.0.0.0/8",
        "GRAPH_URL": graph,
        "ENTRA_AUTHORITY": graph,
        "ENTRA_INSTANCE_DISCOVERY": "false",
        "GRAPH_CREDENTIAL": f"client-secret:{secret}",
        "NOTIFICATION_TOKEN_ISSUER": graph + "/{tenant}/",
        "TEAMS_ORIGINS": graph,
        "APPOINTMENT_INTERVAL": "2",
        "TLS_CERT_FILE": str(chain),
        "TLS_KEY_FILE": str(key),
        "HOST": "127.0.0.1",
        "PORT": connector.rpartition(":")[2],
        "LOG_LEVEL": "ERROR",
    }
    usual = {name: value for name, value in os.environ.items() if not name.startswith("EHR_")}
    return usual | {f"EHR_CONNECTOR_{name}": value for name, value in settings.items()}


async def _configure(clinic: Clinic) -> None:
    """Put an organisation into the database, as the control API would, and the account of its clinician."""
    appointments = {
        "locations": [_LOCATION],
        "virtualVisitTypes": ["Video Visit"],
        "timeZone": "America/Chicago",
        "writeBackLinks": True,
    }
    departments = [{"name": "clinic-4", "displayName": "Clinic 4", "locations": [_LOCATION]}]
    smart = {"clinicianClientID": _CLINICIAN_APP, "systemClientID": _SYSTEM}
    base_url = f"{clinic.cerner}/r4/{_TENANT}"
    spec = FhirEndpointSpec.model_validate(
        {
            "configRef": {"name": "lamna"},
            "baseURL": base_url,
            "environment": "Test",
            "departments": departments,
            "smart": smart,
            "appointments": appointments,
        }
    )
    endpoint = {
        "name": "lamna-test",
        "baseURL": base_url,
        "environment": "Test",
        "active": True,
        "departments": departments,
        **smart,
        "clinicianScopes": clinician_scopes(spec),
        "systemScopes": system_scopes(spec),
        "appointments": appointments,
        "profileDigest": "sha256:" + "ab" * 32,
    }
    document = {
        "namespace": "lamna",
        "name": "lamna",
        "displayName": "Lamna Healthcare",
        "dataGeography": "Americas",
        "ehr": {"system": "Cerner", "release": "2018.11"},
        "publicURL": clinic.connector,
        "microsoft365": {
            "tenantID": EXAMPLE_TENANT,
            "clientID": EXAMPLE_CLIENT,
            "meetingOrganizers": [EXAMPLE_ORGANIZER],
        },
        "endpoints": [endpoint],
    }
    app = {
        "id": _CLINICIAN_APP,
        "redirectUris": [f"{clinic.connector}/launch/callback"],
        "jwksUrl": f"{clinic.connector}/.well-known/jwks.json",
    }
    await clinic.control(clinic.cerner, "PUT", "clients", json=[app])
    engine = open_database(f"sqlite+aiosqlite:///{clinic.work / 'connector.sqlite3'}")
    try:
        now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 (a clock)
        await Organizations(engine, now).put(OrganizationConfiguration.model_validate(document), Precondition(None))
        user = f"Practitioner/{_PRACTITIONER}"
        await Accounts(engine, now).put(canonical(base_url), user, EXAMPLE_TENANT, EXAMPLE_CLINICIAN)
    finally:
        await engine.dispose()


async def _is_ready(http: httpx.AsyncClient, connector: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):
                if (await http.get(f"{connector}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
