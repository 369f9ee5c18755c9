"""What the figures of messages are taken from: stand-ins of the EHR and of Communication Services, and one endpoint."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import OrganizationConfiguration
from ehr_api.profile import system_scopes
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_clients.acs_auth import AccessKeyAuth
from ehr_clients.http import client, tls_context
from ehr_clients.smart import discover, system_token
from ehr_connector.directory import Site
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.planner.pace import Pacer
from ehr_connector.notify.planner.planned import PlannedSender
from ehr_connector.notify.planner.tools import NoticeTools
from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.notify.post import Post
from ehr_connector.notify.provider import Providers
from ehr_connector.store.database import open_database
from ehr_connector.store.events import Events
from ehr_connector.store.migrate import migrate
from ehr_connector.store.notices import Notices
from ehr_connector.store.paces import Pace, Paces
from ehr_connector.store.sends import Sends
from ehr_connector.store.visits import Visits
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.links import Links
from ehr_connector.visits.service import VisitService
from ehr_sandbox.acs.app import create_app as create_acs
from ehr_sandbox.acs.settings import AcsSettings, Behaviour, example_access_key
from ehr_sandbox.cerner.app import create_app as create_cerner
from ehr_sandbox.cerner.places import FACILITY_ID
from ehr_sandbox.cerner.settings import CernerSettings
from ehr_sandbox.graph.world import EXAMPLE_CLIENT, EXAMPLE_ORGANIZER, EXAMPLE_TENANT
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

TENANT, _SYSTEM, PRACTITIONER = "5f3c2a10-0000-4000-8000-000000000001", "lamna-system", "4122600"
SENDER = "+18005550100"
DAY = timedelta(days=1)


class _Service(VisitService):
    """Links, and the record of what was sent, as the product has them; nothing else is asked of it here."""

    def __init__(self, secret: SecretKeys, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._secret, self._links, self._now = secret, Links(secret), now
        self._visits, self._events = Visits(engine, now), Events(engine, now)


@dataclass
class Bench:
    """What the figures are taken from."""

    http: httpx.AsyncClient
    cerner: str
    acs: str
    ehr: EhrAccess
    engine: AsyncEngine
    token: Callable[[], Awaitable[str]]
    """A token of the EHR, as a bare client would use it."""
    sign: httpx.Auth
    """Signs calls of the provider."""
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
    endpoint = FhirEndpointSpec.model_validate(spec | {"baseURL": f"{cerner}/r4/{TENANT}", "environment": "Production"})
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
                    "baseURL": f"{cerner}/r4/{TENANT}",
                    "environment": "Production",
                    "active": True,
                    "departments": spec["departments"],
                    "clinicianClientID": _SYSTEM,
                    "clinicianScopes": [],
                    "systemClientID": _SYSTEM,
                    "systemScopes": system_scopes(endpoint),
                    "appointments": spec["appointments"],
                    "senderNumber": SENDER,
                    "profileDigest": "sha256:" + "0" * 64,
                }
            ],
        }
    )
    return Site(organization, organization.endpoints[0])


def _now() -> datetime:
    return datetime.now(UTC)


async def _anybodys(_base_url: str, _token_endpoint: str) -> None:
    """There is one hospital."""


@asynccontextmanager
async def running_bench() -> AsyncGenerator[Bench]:
    """Run the stand-ins over TLS and a worker's tools on a new SQLite file, until the context ends."""
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="ehr-bench-notifications-")))
        ca = LocalCA.create(work / "ca")
        chain, key = ca.server_certificate("bench", "127.0.0.1")
        tls: dict[str, Any] = {"ssl_certfile": chain, "ssl_keyfile": key}
        new_keys(work / "keys", _now() - DAY)
        signing, secret = SigningKeys(work / "keys", _now), SecretKeys(work / "keys", _now)
        keys = FastAPI()
        keys.add_api_route("/jwks.json", signing.jwks)
        jwks = await stack.enter_async_context(serve(keys, **tls))
        settings = CernerSettings(
            tenants=frozenset({TENANT}), client_jwks_urls={_SYSTEM: f"{jwks}/jwks.json"}, client_ca=ca.ca_file
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
        post = Post(ehr, _Service(secret, engine, _now), sends, providers, AllowLists(None), secret, _now)

        # As quick as can be: what a number may send is the provider's, and what it costs to ask for a turn is ours.
        unlimited = (Pace(timedelta(microseconds=1), burst=1_000),)
        pacer = Pacer(Paces(engine, _now), partial(secret.name, "pace"), pace_of=lambda _sender: unlimited)
        sender = PlannedSender(post, sends, Metrics(), pacer.spare)
        tools = NoticeTools(sender, Notices(engine, _now), pacer.take, secret, _now)
        site = _site(cerner, acs)

        async def token() -> str:
            plain = await stack.enter_async_context(client(tls=trusted))
            found = await discover(plain, site.base_url)
            endpoint, scopes = found.token_endpoint, site.endpoint.system_scopes
            return (await system_token(plain, endpoint, _SYSTEM, signing.signing_key(), scopes)).access_token

        auth = AccessKeyAuth(example_access_key())
        bench = Bench(http, cerner, acs, ehr, engine, token, auth, site, secret, tools)
        await bench.control(acs, "POST", "state", json={"own": [SENDER]})
        yield bench
