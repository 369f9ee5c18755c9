"""The kind FhirEndpoint: validate, judge the promotion, write the records, report."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from ehr_api.conditions import Finding, Type, false, find, true, unknown
from ehr_api.control import Evidence
from ehr_api.meta import FORCE_PROMOTION
from ehr_api.profile import profile_digest, promoted_profile, served_spec
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, FhirEndpointStatus
from ehr_clients.errors import RemoteError
from ehr_operator.fhir_endpoint.promotion import EVIDENCE_S, FORMER_PROFILE_SERVED, Twin, promotion
from ehr_operator.fhir_endpoint.record_writer import RecordWriter
from ehr_operator.fhir_endpoint.validation import PROBE_TYPES, Endpoint, Validated, Validator
from ehr_operator.fhir_endpoint.verdicts import WARNINGS, all_true
from ehr_operator.fhir_endpoint.words import interval_text
from ehr_operator.remotes import Remotes, UntrustedUrlError
from ehr_operator.runtime.model import (
    FREE,
    Api,
    Body,
    Change,
    Clock,
    Failure,
    Finalized,
    Key,
    Note,
    Objects,
    Outcome,
    State,
)
from ehr_operator.runtime.outcome import standing_findings
from ehr_operator.views import (
    BY_BASE_URL,
    BY_CONFIG,
    BY_NUMBER,
    BY_TWIN,
    ENDPOINT,
    NUMBER,
    condition_message,
    condition_reason,
    condition_status,
    config_key,
    config_of,
    endpoints_promoted_from,
    first_claim,
    is_deleting,
    key_of,
    number_of,
)


class FhirEndpointKind:
    """Validates the FHIR base URL, gates Production, and writes what the EHR admin copies."""

    kind = ENDPOINT
    plural = "fhirendpoints"
    spec_type = FhirEndpointSpec
    status_type = FhirEndpointStatus
    finalizer: str | None = None
    workers = 32
    min_interval_s = 0.2
    indexes: tuple[str, ...] = (BY_CONFIG, BY_NUMBER, BY_TWIN, BY_BASE_URL)

    def __init__(self, api: Api, objects: Objects, remotes: Remotes, validator: Validator, clock: Clock) -> None:
        self._records = RecordWriter(api, objects, clock)
        self._objects = objects
        self._remotes = remotes
        self._validator = validator
        self._clock = clock

    def signal(self, body: Body) -> Hashable:
        """Others look at the spec, and at how far the endpoint is."""
        return (
            body["metadata"].get("generation"),
            condition_status(body, Type.READY),
            condition_reason(body, Type.READY),
            condition_status(body, Type.VALIDATED),
            condition_status(body, Type.PROMOTED),
            is_deleting(body),
        )

    def may_go(self, body: Body) -> bool:
        """Let go: nothing outside belongs to an endpoint."""
        return True

    def related(self, body: Body) -> Iterable[Key]:
        """Wake the organisation, the number, and the endpoints that look at this one."""
        key = key_of(ENDPOINT, body)
        yield config_key(body)
        if "smsNumberRef" in body["spec"]:
            yield Key(NUMBER, key.namespace, body["spec"]["smsNumberRef"]["name"])
        yield from endpoints_promoted_from(self._objects, key)
        for rival in self._objects.find(ENDPOINT, key.namespace, BY_BASE_URL, body["spec"]["baseURL"]):
            if key_of(ENDPOINT, rival) != key:
                yield key_of(ENDPOINT, rival)
        if is_deleting(body) or self._objects.get(key) is None:
            self._validator.forget(body["metadata"]["uid"])

    def mended_by(self, change: Change) -> bool:
        """Whatever is related may have mended it."""
        return True

    async def reconcile(self, obj: Endpoint) -> Outcome[FhirEndpointStatus]:
        """Validate what is due, and bring records and status in line."""
        organization = config_of(self._objects, obj.body)
        if obj.spec.suspend:
            return _suspended(obj)
        owner = first_claim(self._objects, obj.body)["metadata"]["name"]
        validated = await self._validator.validate(
            _as_served(obj),
            organization,
            claimed_by=None if owner == obj.key.name else owner,
            connector_trouble=self._connector_trouble(obj),
        )
        promoted = await self._promoted(obj, organization, validated)
        findings = (*validated.findings, _summary(obj.spec, validated.findings), promoted, self._sms_linked(obj))
        unwritten = await self._records.write(obj, organization) if organization is not None else None
        waits = promoted.reason in {"AwaitingEvidence", FORMER_PROFILE_SERVED}
        state, reason, message = _state(obj, organization, findings, unwritten)
        return Outcome(
            state=state,
            reason=reason,
            message=message,
            findings=findings,
            status=_status(obj, organization, validated, promoted, self._clock()),
            requeue_after_s=min(validated.next_s, EVIDENCE_S) if waits and validated.next_s else validated.next_s,
            # A check that failed is news for somebody also where the endpoint never was ready.
            warning=True if any(finding.status == "False" for finding in validated.findings) else None,
            failure=Failure(FREE) if unwritten else None,
            notes=_notes(obj, findings),
        )

    async def finalize(self, obj: Endpoint) -> Outcome[FhirEndpointStatus] | Finalized:
        """Nothing outside has to be cleaned up: records are garbage-collected, the connector is told by the organisation."""
        self._validator.forget(obj.uid)
        return Finalized()

    async def _promoted(
        self, obj: Endpoint, organization: EHRConnectorConfigSpec | None, validated: Validated
    ) -> Finding:
        spec = obj.spec
        digest = profile_digest(spec, organization) if organization else None
        former = obj.status.promoted_profile
        was_promoted = former is not None and former.digest == digest
        evidence: Evidence | None = None
        twin = self._twin(obj, organization)
        if not was_promoted and organization and twin and all_true(validated.findings):
            try:
                control = self._remotes.control(organization.connector.control_url)
                evidence = await control.evidence(obj.key.namespace, spec.config_ref.name)
            except (RemoteError, UntrustedUrlError):
                evidence = None
        return promotion(
            spec,
            twin,
            profile_digest=digest,
            evidence=evidence,
            forced_because=obj.annotations.get(FORCE_PROMOTION, "").strip() or None,
            promoted=former,
        )

    def _twin(self, obj: Endpoint, organization: EHRConnectorConfigSpec | None) -> Twin | None:
        if obj.spec.promoted_from is None or organization is None:
            return None
        body = self._objects.get(Key(ENDPOINT, obj.key.namespace, obj.spec.promoted_from.name))
        if body is None or is_deleting(body):
            return None
        spec = FhirEndpointSpec.model_validate(body["spec"])
        return Twin(
            environment=spec.environment,
            validated=condition_status(body, Type.VALIDATED) == "True",
            profile_digest=profile_digest(spec, organization),
        )

    def _sms_linked(self, obj: Endpoint) -> Finding:
        reference = obj.spec.sms_number_ref
        if reference is None:
            return true(Type.SMS_LINKED, "NotRequired", "no smsNumberRef: patients of this endpoint get no texts")
        number = number_of(self._objects, obj.body)
        if number is None:
            return false(
                Type.SMS_LINKED,
                "SmsNumberNotFound",
                f"waiting for the SmsNumber '{reference.name}' in this namespace. Author: apply it, or correct smsNumberRef; this"
                " goes on as soon as it is there",
            )
        if number["spec"]["configRef"]["name"] != obj.spec.config_ref.name:
            return false(
                Type.SMS_LINKED,
                "SmsNumberOfOtherConfig",
                f"the SmsNumber '{reference.name}' belongs to another EHRConnectorConfig. Author: link a number of the same one;"
                " this goes on as soon as that is done",
            )
        if is_deleting(number):
            return false(
                Type.SMS_LINKED,
                "SmsNumberBeingDeleted",
                f"the SmsNumber '{reference.name}' was deleted and serves on only because endpoints link to it. Author: name"
                " another one in smsNumberRef; the number itself is then kept or released as its deletionPolicy says",
            )
        if condition_status(number, Type.READY) != "True":
            return false(
                Type.SMS_LINKED,
                "SmsNumberNotReady",
                f"waiting for the SmsNumber '{reference.name}' to be Ready: its own conditions say who must act. This goes on"
                " as soon as it is",
            )
        return true(Type.SMS_LINKED, "Linked", f"patients are texted from the SmsNumber '{reference.name}'")

    def _connector_trouble(self, obj: Endpoint) -> str | None:
        """Return why the organisation's connector is not configured, if it is known not to be."""
        body = self._objects.get(config_key(obj.body))
        if body is None or condition_status(body, Type.CONNECTOR_CONFIGURED) != "False":
            return None
        return condition_message(body, Type.CONNECTOR_CONFIGURED)


def _summary(spec: FhirEndpointSpec, findings: tuple[Finding, ...]) -> Finding:
    failed = [finding for finding in findings if finding.status == "False"]
    if failed:
        return false(Type.VALIDATED, failed[0].reason, f"{failed[0].type}: {failed[0].message}")
    waiting = [finding for finding in findings if finding.status != "True"]
    if waiting:
        return unknown(Type.VALIDATED, waiting[0].reason, f"{waiting[0].type}: {waiting[0].message}")
    warnings = [f"{finding.type} ({finding.reason})" for finding in findings if finding.reason in WARNINGS]
    but = f", but see {', '.join(warnings)}" if warnings else ""
    return true(Type.VALIDATED, "Validated", f"every check passed{but}; checked again every {interval_text(spec)}")


def _state(
    obj: Endpoint,
    organization: EHRConnectorConfigSpec | None,
    findings: tuple[Finding, ...],
    unwritten: str | None,
) -> tuple[State, str, str]:
    if organization is None:
        name = obj.spec.config_ref.name
        message = (
            f"waiting for the EHRConnectorConfig '{name}' in this namespace. Author: apply it, or correct configRef; this goes"
            " on as soon as it is there"
        )
        return State.RECONCILING, "ConfigNotFound", message
    # What failed says more than what could not be looked at because of it.
    problems = sorted(
        (finding for finding in findings if finding.status != "True"), key=lambda one: one.status != "False"
    )
    problem = problems[0] if problems else None
    if unwritten is not None:
        message = (
            f"the IntegrationRecords cannot be written: {unwritten[:500]}. Platform team: compare the operator's rights and"
            " the admission policies with deploy/ and crds/; when it is tried again stands in status.retry"
        )
        return State.RECONCILING, "RecordsNotWritten", message
    if problem is None:
        held_back = next((finding for finding in findings if finding.reason == FORMER_PROFILE_SERVED), None)
        if held_back is not None:
            return State.RECONCILING, held_back.reason, held_back.message
        return State.READY, "Validated", "validated, and may serve visits"
    # Only another spec helps against a wrong address; everything else is tried again, or wakes us.
    state = State.STALLED if problem.type is Type.URL_WELL_FORMED else State.RECONCILING
    return state, problem.reason, f"{problem.type}: {problem.message}"


def _status(
    obj: Endpoint, organization: EHRConnectorConfigSpec | None, validated: Validated, promoted: Finding, now: datetime
) -> FhirEndpointStatus:
    """Return the kind's fields."""
    status = obj.status
    digest = profile_digest(obj.spec, organization) if organization else status.profile_digest
    # What was seen of the server is written when it differs; what differs with every look, when a condition changes too.
    changes: dict[str, Any] = {"profile_digest": digest} | (validated.facts or {})
    if organization is not None and promoted.reason == "EvidenceComplete":
        changes["promoted_profile"] = promoted_profile(obj.spec, organization)
    if validated.facts is not None and not _unchanged(obj, validated.findings):
        changes |= {"latency_milliseconds": validated.latency_ms, "last_validated": now.replace(microsecond=0)}
    return status.model_copy(update=changes)


def _as_served(obj: Endpoint) -> Endpoint:
    """Return the endpoint as the connector has it: what is validated is what serves."""
    former = obj.status.promoted_profile
    standing = find(obj.status.conditions, Type.PROMOTED)
    if former is None or (standing is not None and standing.reason == "Forced"):
        return obj
    return replace(obj, spec=served_spec(obj.spec, former))


def _unchanged(obj: Endpoint, findings: tuple[Finding, ...]) -> bool:
    standing = {condition.type: condition for condition in obj.status.conditions}
    return all(
        (condition := standing.get(finding.type)) is not None
        and (condition.status, condition.reason) == (finding.status, finding.reason)
        for finding in findings
    )


def _notes(obj: Endpoint, findings: tuple[Finding, ...]) -> tuple[Note, ...]:
    """Return the Events that `Ready` does not speak for."""
    notes: list[Note] = []
    for finding in findings:
        standing = find(obj.status.conditions, finding.type)
        if finding.reason == "Forced" and (standing is None or standing.reason != "Forced"):
            notes.append(Note("PromotionForced", finding.message, warning=True))
        # The endpoint stays ready until the last day: somebody has to hear of it before. The message changes twice.
        if finding.reason == "CertificateExpiresSoon" and (standing is None or standing.message != finding.message):
            notes.append(Note("CertificateExpiresSoon", finding.message, warning=True))
    return tuple(notes)


def _suspended(obj: Endpoint) -> Outcome[FhirEndpointStatus]:
    standing = {finding.type: finding for finding in standing_findings(obj.status)}
    return Outcome(
        state=State.RECONCILING,
        reason="Suspended",
        message="spec.suspend is true: nothing is validated or changed. Author: set it to false, and it is looked at at once",
        warning=False,
        findings=tuple(
            standing.get(type_) or unknown(type_, "Suspended", "spec.suspend is true: nobody has looked yet")
            for type_ in (*PROBE_TYPES, Type.VALIDATED, Type.PROMOTED, Type.SMS_LINKED)
        ),
        status=obj.status,
    )
