"""One endpoint's validation: when it is due, what it asks, and when a failure counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from ehr_api.conditions import Finding, Type, find, is_true, unknown
from ehr_api.control import ProbeReport, probe_digest
from ehr_api.duration import seconds
from ehr_api.meta import REQUESTED_AT
from ehr_api.profile import system_scopes
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, FhirEndpointStatus
from ehr_clients.errors import RemoteError
from ehr_operator.fhir_endpoint import verdicts
from ehr_operator.fhir_endpoint.facts import facts_of
from ehr_operator.fhir_endpoint.keyed import awaiting_connector, keyed_verdicts
from ehr_operator.fhir_endpoint.latency import Latencies, percentile
from ehr_operator.fhir_endpoint.probes import EhrProbes, Fetch, Observation
from ehr_operator.fhir_endpoint.words import (
    ASK_MAX_S,
    ASKED_AGAIN,
    RETRY_S,
    interval_s,
    interval_text,
    looked_at_again,
    with_next_look,
)
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import Clock, Object

Endpoint = Object[FhirEndpointSpec, FhirEndpointStatus]

DEFAULT_FAILURE_THRESHOLD = 3
_SHORTEST_S = 1.0
_PROBE_TIMEOUT_S = 20.0

PROBE_TYPES = (
    Type.URL_WELL_FORMED,
    Type.DNS_RESOLVED,
    Type.TLS_TRUSTED,
    Type.METADATA_OK,
    Type.SMART_CONFIGURED,
    Type.LATENCY_OK,
    Type.TOKEN_GRANTED,
    Type.APPOINTMENT_SEARCH_OK,
)


@dataclass(slots=True)
class Memory:
    """What is remembered of an endpoint between two reconciles: it saves requests and proves nothing.

    It is gone after a restart: then an endpoint that stands validated is looked at again at a random moment of its
    interval, so that a restart neither writes status nor storms every EHR at once. Times are monotonic seconds.
    """

    generation: int
    requested: str | None
    due_at: float
    """When the EHR is looked at next."""
    ask_at: float = 0.0
    """When the connector is asked next, while its report is missing."""
    network: tuple[Finding, ...] | None = None
    """What the last look found, one for each probe without a key."""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """The fields of status that it gave."""
    latencies: Latencies = field(default_factory=Latencies)
    """How long the last looks took."""
    retry_after_s: float = 0.0
    """When the EHR itself asked us to come again, counted from the last look."""
    report: ProbeReport | None = None
    """What the connector reported; None while it does not know the endpoint or cannot be asked."""
    failures: int = 0
    """Failed validations in a row."""
    connector_refusals: int = 0
    """Times in a row that the connector could not be asked."""


@dataclass(frozen=True, slots=True)
class Validated:
    """The result of one pass."""

    findings: tuple[Finding, ...]
    """One for each of `PROBE_TYPES`."""
    facts: dict[str, Any] | None
    """The fields of status that the last look gave; None where what stands is kept."""
    latency_ms: int | None
    """95th percentile of the last looks of this process."""
    failures: int
    next_s: float | None
    """Seconds until the next look; None where no look helps."""


class Validator:
    """Validates endpoints, each on its own interval."""

    def __init__(
        self,
        probes: EhrProbes,
        remotes: Remotes,
        clock: Clock,
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._probes = probes
        self._remotes = remotes
        self._clock = clock
        self._monotonic = monotonic
        self._random = random
        self._memories: dict[str, Memory] = {}

    def forget(self, uid: str) -> None:
        """Drop what is remembered of an endpoint that is gone."""
        self._memories.pop(uid, None)

    async def validate(
        self,
        obj: Endpoint,
        organization: EHRConnectorConfigSpec | None,
        *,
        claimed_by: str | None,
        connector_trouble: str | None = None,
    ) -> Validated:
        """Return the conditions of the probes, having asked only what is due.

        `claimed_by` names an older endpoint with the same address; `connector_trouble` says why the connector may not
        know this endpoint.
        """
        url = verdicts.url_verdict(obj.spec, claimed_by=claimed_by)
        if url.status != "True":
            return Validated(
                (url, *_unlooked("UrlNotWellFormed", "not looked at: see UrlWellFormed")), None, None, 0, None
            )
        memory = self._remembered(obj)
        now = self._monotonic()
        looked = now >= memory.due_at
        if looked:
            await self._look(obj, memory)
        network = memory.network
        if network is None:
            return Validated(_standing(obj), None, None, 0, memory.due_at - now)
        if verdicts.all_true(network):
            keyed, asked = await self._keyed(obj, organization, memory, connector_trouble)
        else:
            keyed, asked = (
                awaiting_connector("NotReached", "could not be looked at, since an earlier check failed"),
                False,
            )
        findings = (url, *(with_next_look(finding, obj.spec) for finding in (*network, *keyed)))
        if looked or asked:
            self._plan_next(obj, memory, findings)
        facts: dict[str, Any] | None = memory.facts
        if _patient(obj, memory, findings):
            findings, facts = _standing(obj), None
        else:
            findings = tuple(_kept_words(obj, finding) for finding in findings)
        due_at = memory.due_at
        if memory.ask_at > now:
            due_at = min(due_at, memory.ask_at)
        samples = memory.latencies.samples
        latency_ms = round(percentile(samples) * 1000) if samples else None
        return Validated(findings, facts, latency_ms, memory.failures, max(_SHORTEST_S, due_at - self._monotonic()))

    async def _look(self, obj: Endpoint, memory: Memory) -> None:
        seen = await self._probes.observe(obj.spec.base_url, _PROBE_TIMEOUT_S)
        if seen.metadata.fetch is Fetch.ANSWERED and seen.metadata.status == HTTPStatus.OK:
            standing = find(obj.status.conditions, Type.LATENCY_OK)
            memory.latencies.add(
                seen.metadata.elapsed_s,
                limit_s=seconds(verdicts.max_latency(obj.spec)),
                stands_slow=standing is not None and standing.reason == "TooSlow",
            )
        samples = tuple(memory.latencies.samples)
        memory.network = verdicts.network_verdicts(obj.spec, seen, samples, self._clock())
        memory.facts, memory.report = facts_of(seen), None
        memory.retry_after_s = _asked_to_wait_s(seen)

    def _remembered(self, obj: Endpoint) -> Memory:
        requested = obj.annotations.get(REQUESTED_AT)
        memory = self._memories.get(obj.uid)
        now = self._monotonic()
        if memory is None:
            settled = obj.status.observed_generation == obj.generation and is_true(
                obj.status.conditions, Type.VALIDATED
            )
            asked = requested != obj.status.last_handled_reconcile_at
            due_at = now + self._random() * interval_s(obj.spec) if settled and not asked else now
            memory = self._memories[obj.uid] = Memory(obj.generation, requested, due_at)
        elif memory.generation != obj.generation:
            # How slow the server is has nothing to do with the spec: its address never changes.
            memory = Memory(obj.generation, requested, now, latencies=memory.latencies)
            self._memories[obj.uid] = memory
        elif memory.requested != requested:
            # Look now; but asking often makes no failure unseen.
            memory.requested, memory.due_at, memory.ask_at = requested, now, now
        return memory

    async def _keyed(
        self, obj: Endpoint, organization: EHRConnectorConfigSpec | None, memory: Memory, connector_trouble: str | None
    ) -> tuple[tuple[Finding, Finding], bool]:
        """Return the conditions of the probes with a key, and whether they were run just now."""
        if memory.report is not None:
            return keyed_verdicts(obj.spec, memory.report), False
        if organization is None:
            name = obj.spec.config_ref.name
            message = (
                f"waiting for the EHRConnectorConfig '{name}' in this namespace. Author: apply it, or correct configRef; it is"
                " looked at as soon as it is there"
            )
            return awaiting_connector("ConfigNotFound", message), False
        try:
            control = self._remotes.control(organization.connector.control_url)
            expects = probe_digest(
                obj.spec.base_url, obj.spec.smart.system_client_id, system_scopes(obj.spec), obj.spec.appointments
            )
            memory.report = await control.run_probes(
                obj.key.namespace, obj.spec.config_ref.name, obj.key.name, expects=expects
            )
        except UntrustedUrlError as exc:
            message = f"{exc}. {looked_at_again(obj.spec)}"
            return awaiting_connector("ControlUrlNotTrusted", message), False
        except RemoteError as exc:
            self._ask_again(memory)
            message = f"the connector gave no usable answer ({exc.detail}). Platform team: bring it back. {ASKED_AGAIN}"
            return awaiting_connector("ConnectorUnavailable", message), False
        if memory.report is None:
            self._ask_again(memory)
            why = connector_trouble or "the operator is telling it, nobody has to act"
            message = f"the connector does not know this endpoint (as it is now) yet: {why}. {ASKED_AGAIN}"
            return awaiting_connector("AwaitingConnector", message), False
        memory.connector_refusals, memory.ask_at = 0, 0.0
        return keyed_verdicts(obj.spec, memory.report), True

    def _ask_again(self, memory: Memory) -> None:
        memory.connector_refusals += 1
        pause_s = min(RETRY_S * 2.0 ** min(memory.connector_refusals - 1, 16), ASK_MAX_S)
        memory.ask_at = self._monotonic() + _jittered(pause_s, self._random())

    def _plan_next(self, obj: Endpoint, memory: Memory, findings: tuple[Finding, ...]) -> None:
        pause_s = interval_s(obj.spec)
        if any(finding.status == "False" for finding in findings):
            memory.failures += 1
            wished_s = max(RETRY_S * 2.0 ** min(memory.failures - 1, 16), memory.retry_after_s)
            pause_s = min(wished_s, pause_s)
        elif verdicts.all_true(findings):
            memory.failures = 0
        memory.due_at = self._monotonic() + _jittered(pause_s, self._random())


def _patient(obj: Endpoint, memory: Memory, findings: tuple[Finding, ...]) -> bool:
    """Return whether an endpoint that stood validated keeps that for now: one lost packet pages nobody."""
    threshold = (obj.spec.validation.failure_threshold if obj.spec.validation else None) or DEFAULT_FAILURE_THRESHOLD
    return (
        not verdicts.all_true(findings)
        and memory.failures < threshold
        and obj.status.observed_generation == obj.generation
        and is_true(obj.status.conditions, Type.VALIDATED)
    )


def _standing(obj: Endpoint) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for type_ in PROBE_TYPES:
        condition = find(obj.status.conditions, type_)
        if condition is None:
            message = f"was not looked at yet, which nobody has to mend. The first look comes within {interval_text(obj.spec)}"
            found.append(unknown(type_, "NotChecked", message))
        else:
            found.append(Finding(type_, condition.status, condition.reason, condition.message))
    return tuple(found)


def _kept_words(obj: Endpoint, finding: Finding) -> Finding:
    """Return the verdict on latency in the words that stand while it stays the same: they count looks, and move with each."""
    standing = find(obj.status.conditions, finding.type)
    if (
        finding.type is Type.LATENCY_OK
        and standing is not None
        and (standing.status, standing.reason) == (finding.status, finding.reason)
        and obj.status.observed_generation == obj.generation
    ):
        return replace(finding, message=standing.message)
    return finding


def _asked_to_wait_s(seen: Observation) -> float:
    """Return the longest pause that the EHR asked for; it is granted up to the interval."""
    return max(answer.retry_after_s or 0.0 for answer in (seen.metadata, seen.smart))


def _unlooked(reason: str, message: str) -> tuple[Finding, ...]:
    return tuple(unknown(type_, reason, message) for type_ in PROBE_TYPES[1:])


def _jittered(pause_s: float, random: float) -> float:
    """Return the pause give or take a tenth, so that endpoints applied together drift apart."""
    return pause_s * (0.9 + 0.2 * random)
