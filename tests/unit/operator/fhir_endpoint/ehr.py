"""An EHR and a connector as the operator sees them: evidence to order, and what was asked of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from unit.operator.conftest import BASE_URL, CONTROL_URL, ApiServer, Clock, config_body

from ehr_api.control import Evidence, ProbeOutcome, ProbeReport, ProbeResult
from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.control import Control
from ehr_clients.http import client
from ehr_operator.fhir_endpoint.probes import Content, EhrProbes, Fetch, Fetched, Observation
from ehr_operator.fhir_endpoint.reconcile import FhirEndpointKind
from ehr_operator.fhir_endpoint.validation import Validator
from ehr_operator.remotes import UntrustedUrlError
from ehr_operator.runtime.model import ConflictError, Key, Outcome

CAPABILITIES: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "name": "Millennium",
    "publisher": "Oracle Health",
    "implementation": {"url": BASE_URL},
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "Appointment",
                    "interaction": [{"code": "read"}, {"code": "search-type"}, {"code": "patch"}],
                }
            ],
        }
    ],
}
SMART: dict[str, Any] = {
    "issuer": "https://auth.lamna.example",
    "authorization_endpoint": "https://auth.lamna.example/authorize",
    "token_endpoint": "https://auth.lamna.example/token",
    "capabilities": ["launch-ehr", "client-confidential-asymmetric"],
    "code_challenge_methods_supported": ["S256"],
    "grant_types_supported": ["authorization_code", "client_credentials"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
}


def answered(document: dict[str, Any] | None, **parts: Any) -> Fetched:
    """Return the evidence of an answer, in JSON and with status 200 unless `parts` say otherwise."""
    usual = Fetched(
        Fetch.ANSWERED,
        tls_version="TLSv1.3",
        status=200,
        media_type="application/fhir+json",
        content=Content.EMPTY if document is None else Content.JSON_OBJECT,
        document=document,
        elapsed_s=0.1,
    )
    return replace(usual, **parts)


GOOD = Observation(answered(CAPABILITIES), answered(SMART))
DOWN = Observation(Fetched(Fetch.UNREACHABLE, "ConnectTimeout"), Fetched(Fetch.UNREACHABLE, "ConnectTimeout"))
_EXPIRED = Fetched(Fetch.TLS_FAILED, "certificate has expired", tls_code=10)
EXPIRED = Observation(_EXPIRED, _EXPIRED)


class OrderedProbes(EhrProbes):
    """Probes that see what the test ordered, and count."""

    def __init__(self) -> None:
        self.sees = GOOD
        self.asked: list[str] = []

    async def observe(self, base_url: str, timeout_s: float) -> Observation:
        self.asked.append(base_url)
        return self.sees


def report(token: ProbeOutcome = ProbeOutcome.PASSED, search: ProbeOutcome = ProbeOutcome.PASSED) -> ProbeReport:
    return ProbeReport(token=ProbeResult(outcome=token), appointment_search=ProbeResult(outcome=search))


@dataclass
class Connector:
    """The connector's answers to the two questions that an endpoint's reconcile asks."""

    probes: ProbeReport | None = field(default_factory=report)
    """None: the connector does not know the endpoint."""
    evidence: Evidence = field(default_factory=Evidence)
    down: bool = False
    trusted: bool = True
    asked: list[str] = field(default_factory=list[str])
    expected: list[str] = field(default_factory=list[str])
    """The probe digests of the requests for probes."""

    def __post_init__(self) -> None:
        self._http = client(transport=httpx.MockTransport(self._answer))

    def control(self, control_url: str) -> Control:
        if not self.trusted:
            raise UntrustedUrlError(control_url)
        assert control_url == CONTROL_URL
        return Control(self._http, control_url)

    def phone_numbers(self, endpoint: str) -> PhoneNumbers:
        raise UntrustedUrlError(endpoint)

    async def aclose(self) -> None:
        await self._http.aclose()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.down:
            raise httpx.ConnectError("down", request=request)
        if request.url.path.endswith("/evidence"):
            return _json(200, self.evidence.to_api())
        self.expected.append(request.headers["If-Match"].strip('"'))
        if self.probes is None:
            return _json(404, {"title": "Not Found", "status": 404, "detail": "no such endpoint"})
        return _json(200, self.probes.to_api())


def _json(status: int, body: Any) -> httpx.Response:
    made = httpx.Response(status, json=body)
    # A body that is still to be read, as one from the network is.
    return httpx.Response(status, headers=made.headers, stream=httpx.ByteStream(made.content))


@dataclass
class System:
    """The kind with an EHR, a connector, a cluster and a clock around it."""

    api: ApiServer = field(default_factory=ApiServer)
    clock: Clock = field(default_factory=Clock)
    probes: OrderedProbes = field(default_factory=OrderedProbes)
    connector: Connector = field(default_factory=Connector)
    random: Callable[[], float] = lambda: 0.5

    def __post_init__(self) -> None:
        self.api.put(config_body())
        self.restart()

    def restart(self) -> None:
        """Start the operator anew: what it remembered is gone."""
        validator = Validator(self.probes, self.connector, self.clock, self.clock.monotonic, self.random)
        self.kind = FhirEndpointKind(self.api, self.api.cache, self.connector, validator, self.clock)

    async def reconcile(self, key: Key) -> Outcome[Any]:
        """Make one pass and write its outcome."""
        outcome = await self.kind.reconcile(self.api.object(self.kind, key))
        if key not in self.api.bodies:
            raise ConflictError(str(key))
        self.api.settle(key, outcome)
        return outcome

    async def run(self, key: Key, seconds: float) -> list[Outcome[Any]]:
        """Reconcile as often as the outcomes ask for, for so long; return all outcomes."""
        end = self.clock.monotonic() + seconds
        outcomes: list[Outcome[Any]] = []
        while self.clock.monotonic() <= end:
            outcomes.append(await self.reconcile(key))
            pause = outcomes[-1].requeue_after_s
            if pause is None:
                break
            self.clock.advance(max(pause, 0.2))
        return outcomes
