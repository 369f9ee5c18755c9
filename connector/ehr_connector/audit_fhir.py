"""The audit log as FHIR R4 AuditEvents, for whatever collects those of a hospital. Pure.

Source: HL7 FHIR R4, AuditEvent; DICOM PS3.16, annex D, for the types of event.
"""

from __future__ import annotations

from typing import Any

from ehr_connector.audit import Action, AuditEvent, Outcome

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_ACTIVITY = {"system": _DICOM, "code": "110100", "display": "Application Activity"}
_AUTHENTICATION = {"system": _DICOM, "code": "110114", "display": "User Authentication"}
_SYSTEM = "https://ehrconnector.io"
_TYPES = {
    Action.LAUNCHED: _AUTHENTICATION,
    Action.SIGNED_IN: _AUTHENTICATION,
    Action.REPORTS_SIGNED_IN: _AUTHENTICATION,
}
_DONE = {
    Action.CONFIGURED: "U",
    Action.DECONFIGURED: "D",
    Action.GUEST_LINK_MADE: "C",
    Action.GUEST_LINK_REVOKED: "D",
    Action.ERASED: "D",
    Action.EXPIRED: "D",
}
"""CRUD; everything else is an execution."""
_MINOR_FAILURE, _SERIOUS_FAILURE = "4", "8"
_OUTCOMES = dict.fromkeys(Outcome, "0") | {Outcome.REFUSED: _MINOR_FAILURE, Outcome.FAILED: _SERIOUS_FAILURE}
"""Codes of AuditEventOutcome."""


def audit_event_resource(event: AuditEvent) -> dict[str, Any]:
    """Return a row as a resource; with `detail` its place in the chain goes along."""
    action = Action(event.action) if event.action in set(Action) else None
    return {
        "resourceType": "AuditEvent",
        "id": str(event.number),
        "type": _TYPES.get(action, _ACTIVITY) if action else _ACTIVITY,
        "subtype": [{"system": f"{_SYSTEM}/audit-action", "code": event.action}],
        "action": _DONE.get(action, "E") if action else "E",
        "recorded": event.happened_at.isoformat(timespec="microseconds"),
        "outcome": _outcome(event),
        "outcomeDesc": event.outcome,
        "agent": [
            {
                "who": {"identifier": {"system": f"{_SYSTEM}/audit-actor", "value": event.actor}},
                "requestor": True,
            }
        ],
        "source": {
            "observer": {"display": "ehr-connector"},
            "site": f"{event.namespace}/{event.name}",
        },
        "entity": [
            {
                "what": {"identifier": {"system": f"{_SYSTEM}/audit-object", "value": event.object}},
                "detail": [
                    {"type": "previous", "valueString": event.previous},
                    {"type": "digest", "valueString": event.digest},
                ],
            }
        ],
    }


def _outcome(event: AuditEvent) -> str:
    """Return the code; what another version of this program wrote is shown as a failure rather than as none."""
    if event.outcome in set(Outcome):
        return _OUTCOMES[Outcome(event.outcome)]
    # Erasures told their number once.
    return "0" if event.action == Action.ERASED else _MINOR_FAILURE
