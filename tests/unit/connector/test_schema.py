"""No column can come into the schema unseen: each is listed here with what it holds, and none of it is about a patient."""

from __future__ import annotations

from sqlalchemy import JSON, LargeBinary

from ehr_connector.store.schema import metadata

_NAMESPACE = "namespace of the organisation in the cluster"
_ORGANIZATION = "name of the organisation's EHRConnectorConfig"

ALLOWED = {
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
}
"""Add a line only for what says nothing of a person: no name, phone, address, date of birth, id in the EHR, link or text."""


def test_every_column_is_listed_with_what_it_holds() -> None:
    found = {table.name: {column.name for column in table.columns} for table in metadata.sorted_tables}
    assert found == {table: set(columns) for table, columns in ALLOWED.items()}


def test_no_column_takes_any_shape_of_data() -> None:
    shapeless = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, JSON | LargeBinary)
    ]
    assert shapeless == []


def test_only_the_configuration_document_has_no_limit_of_length() -> None:
    unlimited = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.type.python_type is str and getattr(column.type, "length", None) is None
    ]
    assert unlimited == ["organization.document"]
