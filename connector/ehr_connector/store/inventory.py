"""What each column of each table holds. None of it is about a patient; a column that is not listed here fails a test."""

from __future__ import annotations

_NAMESPACE = "namespace of the organisation in the cluster"
_VISIT = "keyed digest of endpoint and appointment"
_ORGANIZATION = "name of the organisation's EHRConnectorConfig"

INVENTORY = {
    "organization": {
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "digest": "SHA-256 of the document",
        "document": "the operator's configuration of the organisation (ehr_api.control), which knows no patients",
        "configured_at": "when it was configured",
    },
    "base_url_claim": {
        "base_url": "FHIR base URL, without any path to a resource",
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "endpoint": "name of the FhirEndpoint",
    },
    "profile_evidence": {
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "endpoint": "name of the FhirEndpoint",
        "profile_digest": "SHA-256 of what Test and Production share",
        "provider_launches": "a count",
        "patient_joins": "a count",
        "last_seen": "time of the last of them; of no single visit",
    },
    "record_evidence": {
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "record": "name of the IntegrationRecord",
        "last_seen_launch": "time of the last launch with it",
    },
    "visit": {
        "visit": _VISIT,
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "endpoint": "name of the FhirEndpoint",
        "environment": "Test or Production",
        "profile_digest": "SHA-256 of what Test and Production share",
        "department": "short name of the department, from the configuration",
        "kind": "patient or consult",
        "starts_at": "when it is booked for",
        "ends_at": "when it is booked to end",
        "organizer": "Entra object id of the organiser account, from the configuration",
        "meeting_id": "Microsoft Graph's id of the meeting",
        "join_web_url": "Microsoft Graph's address of the meeting",
        "recorded_at": "when this row was made",
    },
    "visit_event": {
        "id": "a number",
        "visit": _VISIT,
        "key": "makes a repetition harmless; a keyed digest or a word of ours",
        "kind": "one of ehr_connector.visits.events.Kind",
        "code": "one of a list of ours: channel, result of a device test",
        "participant": "keyed digest of the id that Graph gives a participant for one meeting",
        "happened_at": "when it happened",
        "recorded_at": "when we learnt it",
    },
    "account_link": {
        "base_url": "FHIR base URL, without any path to a resource",
        "ehr_user": "the clinician's unique id in the EHR: the identity that the connector says it stores",
        "tenant_id": "the organisation's Entra tenant, from the configuration",
        "entra_object_id": "the clinician's object id in Entra",
        "linked_at": "when the clinician signed in",
    },
    "guest_link": {
        "visit": _VISIT,
        "number": "a count within the visit",
        "kind": "guest or interpreter",
        "made_at": "when it was made",
        "revoked_at": "when it was revoked",
    },
    "single_use": {"token": "keyed digest of a random value", "expires_at": "a time"},
    "graph_subscription": {
        "visit": _VISIT,
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "subscription_id": "Microsoft Graph's id of the subscription",
        "expires_at": "a time",
        "due_at": "a time",
        "attempts": "a count",
    },
    "lease": {"name": "what is worked for: an endpoint", "holder": "a process", "expires_at": "a time"},
    "rate": {"bucket": "keyed digest", "window_ends_at": "a time", "used": "a count"},
    "audit_event": {
        "number": "a count",
        "happened_at": "when it happened",
        "namespace": _NAMESPACE,
        "name": _ORGANIZATION,
        "action": "one of ehr_connector.audit.Action",
        "outcome": "one of a list of ours",
        "actor": "a clinician's unique id in the EHR, keyed; 'operator', 'administrator' or 'patient'",
        "object": "a visit by its keyed name, or a resource of the configuration",
        "previous": "SHA-256",
        "digest": "SHA-256",
    },
}
"""Add a line only for what says nothing of a person: no name, phone, address, date of birth, id in the EHR, link or text."""
