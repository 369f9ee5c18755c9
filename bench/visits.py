"""How long visits take, and how many one connector process bears, beside a bare uvicorn in the same run.

The connector is one process (SQLite, TLS) as its users start it; the stand-ins of the EHR and of Microsoft share another, and
whoever asks is a third. What the figures hold of the stand-ins is therefore in them: they are upper bounds.

- launch to join: from the EHR's launch to the answer that sends the clinician into the meeting (launch, EHR's authorization,
  callback, board, Join), with an account that signed in before.
- link to lobby: from the patient's link to the answer that sends the browser into Teams' lobby (page, Join).
- throughput: the patient's page and /livez, as fast as 16 connections ask, beside `hello` of a bare uvicorn over the same TLS.
- streams: open status streams of one process, with its resident memory for each; the client holds them in its own process.
- notification to stream: from the moment at which somebody enters the lobby until the first and the last stream tell of it;
  Graph's stand-in, encryption, and our log of events in between.

Prints a table, and last one JSON object a line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import os
import re
import socket
import ssl
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
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
_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0"
)
_CONNECTIONS = 16
_ROUNDS = 5
_QUIET_S = 4.0
"""What is told of one arrival has reached every stream after this time."""
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_JOIN = re.compile(r'action="([^"]+/join)"')


@dataclass
class Figure:
    """One measured value, and what it is compared with."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the figure as it is printed last."""
        ratio = self.value / self.peer_value if self.peer_value else None
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": None if self.peer_value is None else round(self.peer_value, 4),
            "ratio": None if ratio is None else round(ratio, 3),
        }


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
    figures: list[Figure] = field(default_factory=list[Figure])

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
            verify=self.ca.client_context(), trust_env=False, headers={"User-Agent": _AGENT}, timeout=60
        )

    async def launch(self, browser: httpx.AsyncClient, patient: str, encounter: str) -> httpx.Response:
        """Launch from the EHR, and return the board."""
        who = {"tenant": _TENANT, "practitioner": _PRACTITIONER, "patient": patient, "encounter": encounter}
        code = (await self.control(self.cerner, "POST", "launches", json=who))["launch"]
        query = {"iss": f"{self.cerner}/r4/{_TENANT}", "launch": code}
        answer = await browser.get(f"{self.connector}/launch/provider", params=query, follow_redirects=True)
        answer.raise_for_status()
        return answer


async def latencies(clinic: Clinic, visits: int) -> None:
    """Measure one visit after the other, and `hello` as often on connections that are as new."""
    joins: list[float] = []
    lobbies: list[float] = []
    hellos: list[float] = []
    booked = [await clinic.book() for _ in range(visits)]
    links = [await clinic.link(appointment) for _, appointment, _ in booked]
    for (patient, _, encounter), link in zip(booked, links, strict=True):
        async with clinic.browser() as browser:
            joins.append(await _timed(lambda b=browser, p=patient, e=encounter: _joined(clinic, b, p, e)))
        async with clinic.browser() as browser:
            lobbies.append(await _timed(lambda b=browser, at=link: _in_lobby(b, at)))
        async with clinic.browser() as browser:
            hellos.append(await _timed(lambda b=browser: b.get(clinic.hello)))
    for name, times in (("launch to join", joins), ("link to lobby", lobbies)):
        for what, of in (("median", statistics.median), ("p99", _p99)):
            clinic.figures.append(Figure(f"{name}, {what}", of(times), "s", f"bare uvicorn hello, {what}", of(hellos)))


async def _joined(clinic: Clinic, browser: httpx.AsyncClient, patient: str, encounter: str) -> None:
    board = await clinic.launch(browser, patient, encounter)
    action = html.unescape(_JOIN.findall(board.text)[0])
    answer = await browser.post(
        clinic.connector + action,
        data={"csrf": _CSRF.findall(board.text)[0]},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    _expect(answer, clinic.graph)


async def _in_lobby(browser: httpx.AsyncClient, link: str) -> None:
    (await browser.get(link)).raise_for_status()
    answer = await browser.post(link + "/join", headers={"Sec-Fetch-Site": "same-origin"})
    _expect(answer, "http")


def _expect(answer: httpx.Response, where: str) -> None:
    if answer.status_code != 303 or not answer.headers["Location"].startswith(where):
        raise RuntimeError(f"no way into the meeting: {answer.status_code}")


async def throughput(clinic: Clinic, seconds: float) -> None:
    """Ask for the same page for a while; the three take turns, since other work on the machine comes and goes."""
    _, appointment, _ = await clinic.book()
    urls = {
        "bare": clinic.hello,
        "patient's page": await clinic.link(appointment),
        "/livez": f"{clinic.connector}/livez",
    }
    rates: dict[str, list[float]] = {name: [] for name in urls}
    for _ in range(_ROUNDS):
        for name, url in urls.items():
            rates[name].append(await _rate(clinic, url, seconds / _ROUNDS))
    bare = statistics.median(rates.pop("bare"))
    for name, found in rates.items():
        rate = statistics.median(found)
        clinic.figures.append(Figure(f"{name}, requests a second", rate, "1/s", "bare uvicorn hello", bare))


async def _rate(clinic: Clinic, url: str, seconds: float) -> float:
    """Return the requests a second, asked without an HTTP library, which would be the slowest part."""
    address = httpx.URL(url)
    tls = clinic.ca.client_context()
    opened = [await asyncio.open_connection("localhost", address.port, ssl=tls) for _ in range(_CONNECTIONS)]
    host = f"localhost:{address.port}"
    request = f"GET {address.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {_AGENT}\r\n\r\n".encode()
    done = 0
    began_s = time.monotonic()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal done
        while time.monotonic() < began_s + seconds:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if b" 200 " not in head[:16] or length is None:
                raise RuntimeError(f"no page: {head[:64]!r}")
            await reader.readexactly(int(length[1]))
            done += 1

    await asyncio.gather(*(ask(*one) for one in opened))
    rate = done / (time.monotonic() - began_s)
    for _, writer in opened:
        writer.transport.abort()
    return rate


async def streams(clinic: Clinic, number: int, notifications: int) -> None:
    """Open streams from a process of its own, and let patients enter the lobby."""
    patient, _, encounter = await clinic.book()
    browser = await clinic.stack.enter_async_context(clinic.browser())
    board = await clinic.launch(browser, patient, encounter)
    await _joined(clinic, browser, patient, encounter)
    meetings = await clinic.control(clinic.graph, "GET", "meetings")
    meeting = meetings[-1]
    async with asyncio.timeout(60):
        while True:
            if len(await clinic.control(clinic.graph, "GET", "subscriptions")) >= len(meetings):
                break
            await asyncio.sleep(0.2)
    before = _resident_bytes(clinic.pid)
    arguments = {
        "ca_file": str(clinic.ca.ca_file),
        "port": int(clinic.connector.rpartition(":")[2]),
        "path": board.url.path + "/stream",
        "cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
        "agent": _AGENT,
        "number": number,
    }
    process = await clinic.stack.enter_async_context(_part("streams", arguments))
    opened = await _line(process)
    limit = raise_file_limit()
    clinic.figures.append(Figure("open streams of one process", opened["open"], "", "file limit", limit))
    a_stream = (_resident_bytes(clinic.pid) - before) / max(opened["open"], 1)
    clinic.figures.append(Figure("memory of a stream", a_stream / 1024, "KiB"))
    clinic.figures.append(Figure("streams opened", opened["open"] / opened["seconds"], "1/s"))
    first: list[float] = []
    last: list[float] = []
    if process.stdin is None:
        raise RuntimeError("the client has no input")
    for number_of in range(notifications):
        began = datetime.now(UTC).timestamp()
        process.stdin.write(f"{began}\n".encode())
        who = {"displayName": f"patient {number_of}"}
        await clinic.control(clinic.graph, "POST", f"meetings/{meeting['id']}/participants", json=who)
        told = await _line(process)
        first.append(told["first"] - began)
        last.append(told["last"] - began)
        await asyncio.sleep(_QUIET_S)
    clinic.figures.append(Figure("notification to first stream, median", statistics.median(first), "s"))
    clinic.figures.append(Figure("notification to last stream, median", statistics.median(last), "s"))


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await work()
    return time.perf_counter() - began_s


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) * 99 // 100, len(times) - 1)]


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _line(process: asyncio.subprocess.Process) -> Any:
    if process.stdout is None or not (line := await process.stdout.readline()):
        raise RuntimeError("a part of the bench ended")
    return json.loads(line)


@asynccontextmanager
async def _part(name: str, arguments: dict[str, Any]) -> AsyncGenerator[asyncio.subprocess.Process]:
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
async def _clinic() -> AsyncGenerator[Clinic]:
    raise_file_limit()
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="ehr-bench-visits-")))
        ca = LocalCA.create(work / "ca")
        chain, key = ca.server_certificate("bench", "127.0.0.1", "localhost")
        tls = {"chain": str(chain), "key": str(key), "ca_file": str(ca.ca_file)}
        connector, hello = (f"https://localhost:{_free_port()}" for _ in range(2))
        about = {"connector": connector, "tenant": _TENANT, "system_client": _SYSTEM}
        addresses = await _line(await stack.enter_async_context(_part("stand-ins", tls | about)))
        bare = {**tls, "port": int(hello.rpartition(":")[2])}
        await _line(await stack.enter_async_context(_part("hello", bare)))
        environment = _environment(work, ca, chain, key, connector, addresses["graph"])
        process = await stack.enter_async_context(_process("-m", "ehr_connector", env=environment))
        http = await stack.enter_async_context(httpx.AsyncClient(verify=_verify(ca), trust_env=False, timeout=60))
        await _is_ready(http, connector)
        clinic = Clinic(work, ca, http, addresses["cerner"], addresses["graph"], connector, hello, process.pid, stack)
        await _configure(clinic)
        yield clinic


def _verify(ca: LocalCA) -> ssl.SSLContext:
    return ca.client_context()


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


async def _measure(visits: int, seconds: float, number: int, notifications: int) -> list[Figure]:
    async with _clinic() as clinic:
        await latencies(clinic, visits)
        await throughput(clinic, seconds)
        await streams(clinic, number, notifications)
        return clinic.figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each throughput")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--notifications", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    given = parser.parse_args()
    if given.quick:
        given.visits, given.seconds, given.streams, given.notifications = 30, 3.0, 500, 5
    figures = asyncio.run(_measure(given.visits, given.seconds, given.streams, given.notifications))
    for figure in figures:
        row = figure.row()
        beside = f"  {row['peer']} {row['peer_value']:g}  ratio {row['ratio']:g}" if row["peer"] else ""
        print(f"{row['name']:<38} {row['value']:>10g} {row['unit']:<4}{beside}")
    for figure in figures:
        print(json.dumps(figure.row()))


if __name__ == "__main__":
    main()
