"""Composition of the kinds: clients with their credentials, and what each kind is given of them."""

from __future__ import annotations

import math
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from azure.identity.aio import DefaultAzureCredential

from ehr_clients.acs_auth import ENTRA_SCOPE, AccessKeyAuth, EntraTokenAuth
from ehr_clients.control import TokenAuth
from ehr_clients.guard import Network
from ehr_clients.http import Auth, client, tls_context
from ehr_operator.connector_config.reconcile import EHRConnectorConfigKind
from ehr_operator.fhir_endpoint.probes import EhrProbes, Fetch, Observation
from ehr_operator.fhir_endpoint.reconcile import FhirEndpointKind
from ehr_operator.fhir_endpoint.validation import Validator
from ehr_operator.integration_record import IntegrationRecordKind
from ehr_operator.integration_record_sightings import Sightings
from ehr_operator.remotes import HttpRemotes, origin
from ehr_operator.runtime.external import Calls
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Api, Body, Clock, Kind, Objects
from ehr_operator.settings import Settings
from ehr_operator.sms_number.budget import Budget
from ehr_operator.sms_number.reconcile import SmsNumberKind
from ehr_operator.sms_number_refusals import Refusals

_KINDS = (EHRConnectorConfigKind, FhirEndpointKind, SmsNumberKind, IntegrationRecordKind)
PLURALS = {kind.kind: kind.plural for kind in _KINDS}
"""The resource name of each kind."""
_OUTCOMES = {
    Fetch.ANSWERED: "ok",
    Fetch.NO_ADDRESS: "unavailable",
    Fetch.UNREACHABLE: "unavailable",
    Fetch.TLS_FAILED: "unavailable",
    Fetch.ADDRESS_REFUSED: "refused",
}
INDEXES = {kind.kind: kind.indexes for kind in _KINDS}
"""The fields by which objects of each kind are found."""


class Looks:
    """When each EHR was last looked at, in monotonic seconds; a process that begins has looked at none."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began_s = monotonic()
        self._at_s: dict[str, float] = {}

    def note(self, base_url: str) -> None:
        """Note that an EHR was looked at just now."""
        self._at_s[base_url] = self._monotonic()

    def report(self, endpoints: Iterable[Body], metrics: Metrics) -> None:
        """Set the age of the oldest and of the newest validation; suspended endpoints are not waited for."""
        urls = {body["spec"]["baseURL"] for body in endpoints if not body["spec"].get("suspend")}
        self._at_s = {url: at_s for url, at_s in self._at_s.items() if url in urls}
        now_s = self._monotonic()
        ages_s = [now_s - self._at_s.get(url, self._began_s) for url in urls]
        metrics.validation_age.labels("oldest").set(max(ages_s, default=math.nan))
        metrics.validation_age.labels("newest").set(min(ages_s, default=math.nan))


class _CountedProbes(EhrProbes):
    """The probes, counted: one look is one call, whose outcome is that of the CapabilityStatement."""

    def __init__(self, tls: ssl.SSLContext, allowed: Sequence[Network], calls: Calls, looks: Looks) -> None:
        super().__init__(tls, allowed)
        self._calls = calls
        self._looks = looks

    async def observe(self, base_url: str, timeout_s: float) -> Observation:
        look = super().observe(base_url, timeout_s)
        seen = await self._calls.count(
            "ehr", "observe", look, lambda seen: _OUTCOMES.get(seen.metadata.fetch, "unusable")
        )
        self._looks.note(base_url)
        return seen


def host_of(kind: str, body: Body) -> str | None:
    """Return the server outside that a reconcile of this object waits for; None where it is the same one for all."""
    match kind:
        case FhirEndpointKind.kind:
            return origin(body["spec"]["baseURL"])
        case EHRConnectorConfigKind.kind:
            return origin(body["spec"]["connector"]["controlURL"])
        case _:
            return None


@asynccontextmanager
async def build_kinds(
    settings: Settings,
    api: Api,
    objects: Objects,
    clock: Clock,
    may_spend: Callable[[], None],
    calls: Calls,
    looks: Looks,
) -> AsyncGenerator[list[Kind[Any, Any]]]:
    """Return the four kinds; their connections are closed at the end of the block.

    `may_spend` raises ConflictError while another process may lead.
    """
    tls = tls_context(settings.ca_file)
    async with AsyncExitStack() as stack:
        token = TokenAuth(lambda: settings.control_token_file.read_text(encoding="utf-8").strip())
        control_http = await stack.enter_async_context(client(tls=tls, auth=token))
        # Probes wait for EHRs: on connections of their own they do not keep a configuration from being handed over.
        probes_http = await stack.enter_async_context(client(tls=tls, auth=token))
        communication_http = await stack.enter_async_context(
            client(tls=tls, auth=await _communication_auth(settings, stack))
        )
        remotes, probing = (
            HttpRemotes(
                trusted_urls=settings.trusted_urls,
                control_http=http,
                communication_http=communication_http,
                calls=calls,
            )
            for http in (control_http, probes_http)
        )
        probes = _CountedProbes(tls, settings.allowed_networks, calls, looks)
        sightings, refusals = Sightings(), Refusals()
        validator = Validator(probes, probing, clock, time.monotonic, random.random)
        yield [
            EHRConnectorConfigKind(api, objects, remotes, _jitter, sightings, refusals),
            FhirEndpointKind(api, objects, remotes, validator, clock),
            SmsNumberKind(
                api,
                objects,
                clock,
                remotes,
                refusals,
                purchasing_enabled=settings.purchasing == "enabled",
                budget=Budget(settings.purchases_per_namespace_and_day, settings.purchases_per_hour),
                jitter=_jitter,
                may_spend=may_spend,
            ),
            IntegrationRecordKind(clock, sightings),
        ]


def _jitter(pause_s: float) -> float:
    """Return the pause give or take a tenth."""
    return pause_s * random.uniform(0.9, 1.1)  # noqa: S311 (spreads load, guards nothing)


async def _communication_auth(settings: Settings, stack: AsyncExitStack) -> Auth:
    """Return how the operator proves itself to Communication Services: a key from a file, or its workload identity."""
    kind, _, path = settings.acs_credential.partition(":")
    if kind == "file":
        with open(path, encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 (once, before anything is served)
            return AccessKeyAuth(file.read().strip())
    credential = await stack.enter_async_context(DefaultAzureCredential(exclude_interactive_browser_credential=True))
    return EntraTokenAuth(_token_of(credential))


def _token_of(credential: DefaultAzureCredential) -> Callable[[], Awaitable[str]]:
    async def fetch() -> str:
        return (await credential.get_token(ENTRA_SCOPE)).token

    return fetch
