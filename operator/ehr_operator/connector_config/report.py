"""The conditions of an organisation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ehr_api.conditions import Finding, Type, false, true, unknown
from ehr_api.control import GraphReason, GraphReport
from ehr_api.meta import Condition
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.fhir_endpoint.promotion import FORMER_PROFILE_SERVED
from ehr_operator.runtime.model import Body, State
from ehr_operator.views import condition_reason, condition_status

_NAMED = 10
"""At most so many objects are named in a message."""


@dataclass(frozen=True, slots=True)
class Push:
    """What became of the configuration in the connector."""

    configured: Finding
    drifted: Finding


def consent(spec: EHRConnectorConfigSpec) -> Finding:
    """Judge the two consents for text messages."""
    if not spec.sms_enabled and not spec.consent_recorded:
        return true(Type.CONSENT_RECORDED, "NotRequired", "text messages are off, so no consent is needed")
    if spec.consent_recorded:
        return true(Type.CONSENT_RECORDED, "Recorded", "both consents are recorded, with who and when")
    return false(
        Type.CONSENT_RECORDED,
        "ConsentMissing",
        "text messages need both consents. Author: complete smsNotifications.consent, with acknowledgedBy and acknowledgedAt;"
        " this goes on as soon as it is",
    )


def graph_authorized(report: GraphReport | None, standing: Condition | None) -> Finding:
    """Judge the connector's report on Microsoft Graph; None when it gave none. `standing` is the condition before.

    What was found good stays out of the way while Microsoft's services do not answer; what never was is not called so.
    """
    if report is None:
        message = (
            "the connector gave no report on Microsoft Graph. Platform team, if it stays: run a connector of this version. It is"
            " asked again by itself every minute"
        )
        return unknown(Type.GRAPH_AUTHORIZED, "NotChecked", message)
    findings = [finding for finding in report.findings if not finding.is_advice]
    if not findings:
        count = report.organizers
        message = f"the application has its permissions, and may hold meetings of all {count} organisers"
        advice = "".join(f". {one.message}: {one.remedy}" for one in report.findings)
        return true(Type.GRAPH_AUTHORIZED, "Authorized", f"{message}{advice}")
    lasting = [finding for finding in findings if finding.reason not in _PASSING]
    shown = lasting or findings
    reason = _GRAPH_REASONS[shown[0].reason]
    more = f"; and {len(findings) - 1} more, shown once this is mended" if len(findings) > 1 else ""
    # The command comes last, to be copied as it stands.
    message = f"{shown[0].message} (looked at again by itself every minute): {shown[0].remedy}{more}"
    if not lasting and standing is not None and (standing.status == "True" or _was_good_before(standing)):
        return unknown(Type.GRAPH_AUTHORIZED, reason, message)
    return false(Type.GRAPH_AUTHORIZED, reason, message)


def _was_good_before(standing: Condition) -> bool:
    return standing.status == "Unknown" and standing.reason in {_GRAPH_REASONS[one] for one in _PASSING}


THEIRS = "their own conditions say who must act. This goes on as soon as they are"
"""For a message that waits for other objects."""
_PASSING = frozenset({GraphReason.THROTTLED, GraphReason.UNAVAILABLE})
_GRAPH_REASONS = {
    GraphReason.NOT_CONFIGURED: "GraphNotConfigured",
    GraphReason.CREDENTIAL_REFUSED: "GraphCredentialRefused",
    GraphReason.PERMISSIONS_MISSING: "GraphPermissionsMissing",
    GraphReason.ACCESS_POLICY_MISSING: "AccessPolicyMissing",
    GraphReason.ORGANIZER_NOT_FOUND: "OrganizerNotFound",
    GraphReason.ORGANIZER_DISABLED: "OrganizerDisabled",
    GraphReason.ORGANIZER_NOT_LICENSED: "OrganizerNotLicensed",
    GraphReason.CALL_RECORDS_NOT_PERMITTED: "CallRecordsNotPermitted",
    GraphReason.MEETING_LIMIT_REACHED: "MeetingLimitReached",
    GraphReason.REFUSED: "GraphRefused",
    GraphReason.THROTTLED: "GraphThrottled",
    GraphReason.UNAVAILABLE: "GraphUnavailable",
}
"""The reasons of the control API, which are those of the condition."""


def drift_corrected(corrected: str) -> Finding:
    """Return the condition for the time from a correction to the next look."""
    return true(
        Type.DRIFTED,
        _DRIFT_CORRECTED,
        f"{corrected}. Platform team: find out who else writes to it. This ends by itself with the next look, within a minute",
    )


_DRIFT_CORRECTED = "DriftCorrected"


def endpoints_ready(endpoints: Sequence[Body]) -> Finding:
    """Judge the endpoints. Production that only awaits its evidence is no fault."""
    if not endpoints:
        return false(
            Type.ENDPOINTS_READY,
            "NoEndpoints",
            "waiting for a FhirEndpoint whose configRef names this organisation. Author: apply one; this goes on as soon as it is"
            " there",
        )
    waiting = [
        f"{body['metadata']['name']} ({condition_reason(body, Type.READY) or 'not looked at yet'})"
        for body in endpoints
        if condition_status(body, Type.READY) != "True"
        and not _only_awaits_evidence(body)
        and not body["spec"].get("suspend")
    ]
    if waiting:
        return false(Type.ENDPOINTS_READY, "EndpointsNotReady", f"waiting for {names(waiting)}: {THEIRS}")
    return true(Type.ENDPOINTS_READY, "EndpointsReady", "every FhirEndpoint is ready, or awaits only its evidence")


_WAIT_FOR_PEOPLE = frozenset({"ControlUrlNotTrusted", "ConfigurationRefused"})
"""Only another spec or setting helps."""


TOLD_ELSEWHERE = frozenset({"EndpointsNotReady", "NumbersNotReady", "Suspended"})
"""Reasons that other objects post a Warning about, or that somebody asked for."""


def summary(findings: Sequence[Finding]) -> tuple[State, str, str]:
    """Return the state of the organisation, with the words of the first condition that stands in the way."""
    for finding in findings:
        stands_in_the_way = finding.status != "True"
        if finding.type is Type.GRAPH_AUTHORIZED:
            stands_in_the_way = finding.status == "False"
        elif finding.type is Type.DRIFTED:
            stands_in_the_way = finding.status == "True" and finding.reason != _DRIFT_CORRECTED
        if stands_in_the_way:
            state = State.STALLED if finding.reason in _WAIT_FOR_PEOPLE else State.RECONCILING
            return state, finding.reason, f"{finding.type}: {finding.message}"
    return State.READY, "Configured", "the connector holds the desired configuration"


def _only_awaits_evidence(body: Body) -> bool:
    return (
        condition_reason(body, Type.READY) in {"AwaitingEvidence", FORMER_PROFILE_SERVED}
        and condition_status(body, Type.VALIDATED) == "True"
    )


def names(named: Sequence[str]) -> str:
    """Return names for a message, not endlessly many."""
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
