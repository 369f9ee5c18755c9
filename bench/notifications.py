"""How fast messages are planned and sent by one endpoint's worker, beside the plain rate of the stand-ins in the same run.

Everything is one process: the worker on a SQLite file, and over TLS the stand-ins of the EHR and of Communication Services, whose
work is in the figures. The provider takes as many as come: in production the pace of a number, 190 a minute, is the limit.

- planned: coming visits a second, at the first reading of an EHR (each is noted) and at every later one.
- sent: messages a second, each with its claim, patient, decision, call and end, four at a time.
- plain: the same calls of the provider, and the same reads of patients, four at a time and with nothing around them.
- FHIR requests an appointment: what one reading and one message take of the EHR.
- memory: what 50,000 visits take of which each has a message due.

Prints one JSON object a line for each figure, last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI

from ehr_api.control import OrganizationConfiguration
from ehr_api.profile import system_scopes
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_clients.acs_auth import AccessKeyAuth
from ehr_clients.acs_sms import Sms
from ehr_clients.fhir_model import Appointment
from ehr_clients.http import client, tls_context
from ehr_connector.coming.reading import visits_between
from ehr_connector.directory import Site
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.planner.planned import PlannedSender
from ehr_connector.notify.planner.tools import NoticeTools
from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.notify.post import Post
from ehr_connector.notify.provider import Providers
from ehr_connector.store.database import open_database
from ehr_connector.store.migrate import migrate
from ehr_connector.store.notices import Notices
from ehr_connector.store.sends import Sends
from ehr_connector.visits.booking import Booking, booking
from ehr_connector.visits.events import Channel
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import VisitService
from ehr_sandbox.acs.app import create_app as create_acs
from ehr_sandbox.acs.settings import AcsSettings, Behaviour, example_access_key
from ehr_sandbox.cerner.app import create_app as create_cerner
from ehr_sandbox.cerner.places import FACILITY_ID
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.graph.world import EXAMPLE_CLIENT, EXAMPLE_ORGANIZER, EXAMPLE_TENANT
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

_TENANT, _SYSTEM, _PRACTITIONER = "5f3c2a10-0000-4000-8000-000000000001", "lamna-system", "4122600"
_SENDER = "+18005550100"
_AT_ONCE = 4
_DAY = timedelta(days=1)


class _Service(VisitService):
    """Links without a key, and no record of visits: they belong to other figures."""

    def __init__(self) -> None:
        """Know nothing."""

    def link(self, found: Booking, role: Role, number: int = 0) -> str:
        """Return an address as long as a link."""
        return f"https://visits.lamna.example/v/{'x' * 50}{role}{number}{found.appointment_id}"

    async def sent(self, found: Booking, channel: Channel) -> None:
        """Write nothing down."""


@dataclass
class Bench:
    """What the figures are taken from."""

    http: httpx.AsyncClient
    cerner: str
    acs: str
    ehr: EhrAccess
    sms: Sms
    site: Site
    secret: SecretKeys
    tools: NoticeTools

    def worker(self) -> EndpointNotices:
        """A worker that knows what is written down."""
        return EndpointNotices(self.site, self.tools)

    def named(self, found: Iterable[Booking]) -> Mapping[str, Booking]:
        """Return visits by their names."""
        return {self.secret.name("visit", self.site.base_url, one.appointment_id): one for one in found}

    async def control(self, system: str, method: str, path: str, **options: Any) -> Any:
        """Use a control of a stand-in."""
        answer = await self.http.request(method, f"{system}/_sandbox/{path}", **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def fhir_requests(self) -> int:
        """Return how many requests the EHR got for data."""
        found = await self.control(self.cerner, "GET", "requests", params={"path": "/r4/", "limit": 1_000_000})
        return len([one for one in found["requests"] if "/Appointment" in one["path"] or "/Patient" in one["path"]])


def _print(name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> None:
    ratio = None if not peer_value else round(value / peer_value, 3)
    row = {"name": name, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
    print(json.dumps(row))


async def planned(bench: Bench, visits: int) -> None:
    """Plan for visits that stand in memory only."""
    found = bench.named(_made_up(bench.site, visits, first=10_000_000))
    worker, until = bench.worker(), datetime.now(UTC) + 14 * _DAY
    for name in ("first reading", "later reading"):
        worker.read(found, until)
        took_s = await _timed(worker.settle)
        _print(f"planned at a {name}", visits / took_s, "appointments/s")


async def memory(bench: Bench, visits: int) -> None:
    """Let a message of each visit be due, none of which is sent."""
    before = _resident_bytes()
    found = bench.named(_made_up(bench.site, visits, first=20_000_000))
    indexed = _resident_bytes()
    worker = bench.worker()
    worker.read(found, datetime.now(UTC) + 14 * _DAY)
    await worker.settle()
    due = _resident_bytes()
    _print(f"memory of {visits} coming visits", (indexed - before) / 2**20, "MiB")
    _print(f"and of {visits} due messages", (due - indexed) / 2**20, "MiB")


async def sent(bench: Bench, messages: int) -> None:
    """Book visits, and send what is due."""
    patients = [await _patient(bench, number) for number in range(messages)]
    before = await bench.fhir_requests()
    start = (datetime.now(UTC) + 3 * _DAY).replace(microsecond=0)
    for number, patient in enumerate(patients):
        who = {"tenant": _TENANT, "patient": patient, "practitioner": _PRACTITIONER, "location": FACILITY_ID}
        at = start + timedelta(minutes=number)
        await bench.control(bench.cerner, "POST", "appointments", json={**who, "start": at.isoformat()})
    now = datetime.now(UTC)
    began_s = time.perf_counter()
    found = await visits_between(bench.ehr, bench.site, now, now + 14 * _DAY)
    read_s = time.perf_counter() - began_s
    if len(found) != messages:
        raise RuntimeError(f"{len(found)} of {messages} visits were read")
    worker = bench.worker()
    worker.read(bench.named(found), now + 14 * _DAY)
    await worker.settle()
    took_s = await _timed(lambda: _drained(worker))
    ledger = await bench.control(bench.acs, "GET", "ledger")
    texts = len(ledger["texts"])
    if texts != messages:
        raise RuntimeError(f"{texts} of {messages} messages were sent")
    requests = await bench.fhir_requests() - before
    plain_s = await _timed(lambda: _at_once(range(messages), lambda number: _plain_send(bench, number)))
    reads_s = await _timed(lambda: _at_once(patients, lambda one: bench.ehr.call(bench.site, lambda f: f.patient(one))))
    _print("read from the EHR", messages / read_s, "appointments/s")
    _print("sent", messages / took_s, "messages/s", "plain sends of the stand-in", round(messages / plain_s, 3))
    _print("sent", messages / took_s, "messages/s", "plain reads of patients", round(messages / reads_s, 3))
    _print("FHIR requests an appointment", requests / messages, "")


async def _drained(worker: EndpointNotices) -> None:
    async def attend(_number: int) -> None:
        while await worker.attend():
            pass

    await _at_once(range(_AT_ONCE), attend)


async def _plain_send(bench: Bench, number: int) -> None:
    text = "Lamna Healthcare: your video visit is booked. " + "x" * 100
    at = datetime.now(UTC)
    await bench.sms.send(_SENDER, _phone(number), text, request_id=uuid4(), first_sent=at, tag="plain")


async def _anybodys(_base_url: str, _token_endpoint: str) -> None:
    """There is one hospital."""


async def _at_once(items: Iterable[Any], work: Callable[[Any], Awaitable[Any]]) -> None:
    """Do the work for each item, four at a time."""
    left = iter(items)

    async def take() -> None:
        for item in left:
            await work(item)

    await asyncio.gather(*(take() for _ in range(_AT_ONCE)))


async def _patient(bench: Bench, number: int) -> str:
    new = {"tenant": _TENANT, "given": "Rosa", "family": "Quillfeather", "phone": _phone(number).removeprefix("+1")}
    return (await bench.control(bench.cerner, "POST", "patients", json=new))["id"]


def _phone(number: int) -> str:
    return f"+1214{5550000 + number:07}"


def _made_up(site: Site, visits: int, first: int) -> Iterable[Booking]:
    start = (datetime.now(UTC) + 2 * _DAY).replace(microsecond=0)
    for number in range(visits):
        at = start + timedelta(seconds=number)
        fields = {
            "id": str(first + number),
            "status": "booked",
            "serviceType": [{"text": "Video Visit"}],
            "start": at.isoformat(),
            "participant": [{"actor": {"reference": f"Patient/{number}"}}],
        }
        found = booking(site, Appointment.model_validate(fields))
        if found is not None:
            yield found


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await work()
    return time.perf_counter() - began_s


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _site(cerner: str, acs: str) -> Site:
    spec: dict[str, Any] = {
        "configRef": {"name": "bench"},
        "departments": [{"name": "clinic", "displayName": "Clinic", "locations": [FACILITY_ID]}],
        "smart": {"clinicianClientID": _SYSTEM, "systemClientID": _SYSTEM},
        "appointments": {
            "locations": [FACILITY_ID],
            "virtualVisitTypes": ["Video Visit"],
            "timeZone": "America/Chicago",
            "writeBackLinks": True,
        },
    }
    endpoint = FhirEndpointSpec.model_validate(
        spec | {"baseURL": f"{cerner}/r4/{_TENANT}", "environment": "Production"}
    )
    organization = OrganizationConfiguration.model_validate(
        {
            "namespace": "bench",
            "name": "bench",
            "displayName": "Lamna Healthcare",
            "dataGeography": "Americas",
            "ehr": {"system": "Cerner", "release": "2024.05"},
            "publicURL": "https://visits.lamna.example",
            "microsoft365": {
                "tenantID": EXAMPLE_TENANT,
                "clientID": EXAMPLE_CLIENT,
                "meetingOrganizers": [EXAMPLE_ORGANIZER],
            },
            "communicationServices": {"endpoint": acs},
            "smsNotifications": {
                "enabled": True,
                "consent": {"sendOnBehalfOfOrganization": True, "attendeesHaveConsented": True},
                "reminders": ["24h", "1h"],
                "quietHours": {"start": "00:00", "end": "00:00"},
            },
            "endpoints": [
                {
                    "name": "bench",
                    "baseURL": f"{cerner}/r4/{_TENANT}",
                    "environment": "Production",
                    "active": True,
                    "departments": spec["departments"],
                    "clinicianClientID": _SYSTEM,
                    "clinicianScopes": [],
                    "systemClientID": _SYSTEM,
                    "systemScopes": system_scopes(endpoint),
                    "appointments": spec["appointments"],
                    "senderNumber": _SENDER,
                    "profileDigest": "sha256:" + "0" * 64,
                }
            ],
        }
    )
    return Site(organization, organization.endpoints[0])


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _bench() -> AsyncGenerator[Bench]:
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="ehr-bench-notifications-")))
        ca = LocalCA.create(work / "ca")
        chain, key = ca.server_certificate("bench", "127.0.0.1")
        tls: dict[str, Any] = {"ssl_certfile": chain, "ssl_keyfile": key}
        new_keys(work / "keys", _now() - _DAY)
        signing, secret = SigningKeys(work / "keys", _now), SecretKeys(work / "keys", _now)
        keys = FastAPI()
        keys.add_api_route("/jwks.json", signing.jwks)
        jwks = await stack.enter_async_context(serve(keys, **tls))
        settings = CernerSettings(
            tenants=frozenset({_TENANT}), client_jwks_urls={_SYSTEM: f"{jwks}/jwks.json"}, client_ca=ca.ca_file
        )
        cerner = await stack.enter_async_context(serve(create_cerner(settings), **tls))
        behaviour = Behaviour(verified_at_once=True, delivery_seconds=0, texts_per_minute=1_000_000)
        acs = await stack.enter_async_context(serve(create_acs(AcsSettings(behaviour=behaviour)), **tls))
        http = await stack.enter_async_context(
            httpx.AsyncClient(verify=ca.client_context(), trust_env=False, timeout=60)
        )
        (work / "access-key").write_text(example_access_key())
        trusted = tls_context(ca.ca_file)
        ehr = EhrAccess(trusted, [ip_network("127.0.0.0/8")], signing.signing_key, time.monotonic, _anybodys)
        stack.push_async_callback(ehr.aclose)
        providers = Providers(
            f"file:{work / 'access-key'}",
            [acs],
            trusted,
            entra_authority="https://login.microsoftonline.com",
            entra_instance_discovery=True,
            environment={},
        )
        stack.push_async_callback(providers.aclose)
        engine = open_database(f"sqlite+aiosqlite:///{work / 'bench.sqlite3'}")
        stack.push_async_callback(engine.dispose)
        await migrate(engine)
        sends = Sends(engine, _now)
        post = Post(ehr, _Service(), sends, providers, AllowLists(None), secret, _now)

        async def take(_number: str, _endpoint: str) -> None:
            """No pace: it is the provider's."""

        tools = NoticeTools(PlannedSender(post, sends, Metrics()), Notices(engine, _now), take, secret, _now)
        auth = AccessKeyAuth(example_access_key())
        plain = await stack.enter_async_context(client(tls=trusted, auth=auth))
        bench = Bench(http, cerner, acs, ehr, Sms(plain, acs), _site(cerner, acs), secret, tools)
        await bench.control(acs, "POST", "state", json={"own": [_SENDER]})
        yield bench


async def _run(visits: int, messages: int, due: int) -> None:
    async with _bench() as bench:
        await planned(bench, visits)
        await sent(bench, messages)
        await memory(bench, due)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--visits", type=int, default=10_000, help="coming visits to plan for")
    parser.add_argument("--messages", type=int, default=500, help="messages to send")
    parser.add_argument("--due", type=int, default=50_000, help="due messages that memory is taken for")
    given = parser.parse_args()
    asyncio.run(_run(given.visits, given.messages, given.due))


if __name__ == "__main__":
    main()
