"""The integration records of an endpoint. Pure, and byte-stable: equal inputs give equal names, labels and specs."""

from __future__ import annotations

from typing import Any

from ehr_api.digest import digest_of
from ehr_api.meta import API_VERSION, GROUP, ObjectReference
from ehr_api.profile import clinician_scopes, system_scopes
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_api.v1alpha1.integration_record import (
    InitiatedBy,
    IntegrationRecordSpec,
    RecordKind,
    RecordParameter,
)
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import ENDPOINT, RECORD

LAUNCH_PATHS = {InitiatedBy.PATIENT: "/launch/patient", InitiatedBy.PROVIDER: "/launch/provider"}
CALLBACK_PATH = "/launch/callback"
JWKS_PATH = "/.well-known/jwks.json"


def record_name(endpoint: str, initiated_by: InitiatedBy) -> str:
    """Return the name of a record."""
    return f"{endpoint}-{initiated_by.lower()}"


def record_keys(endpoint: Key) -> list[Key]:
    """Return the keys of all records of an endpoint."""
    return [Key(RECORD, endpoint.namespace, record_name(endpoint.name, by)) for by in InitiatedBy]


def records(
    endpoint: Key, spec: FhirEndpointSpec, organization: EHRConnectorConfigSpec, sender_number: str | None
) -> dict[Key, IntegrationRecordSpec]:
    """Return what the EHR admin copies: one record for each initiator."""
    return {
        Key(RECORD, endpoint.namespace, record_name(endpoint.name, by)): _record(
            by, endpoint, spec, organization, sender_number
        )
        for by in InitiatedBy
    }


def _record(
    by: InitiatedBy,
    endpoint: Key,
    spec: FhirEndpointSpec,
    organization: EHRConnectorConfigSpec,
    sender_number: str | None,
) -> IntegrationRecordSpec:
    public = organization.connector.public_url
    provider = by is InitiatedBy.PROVIDER
    name = record_name(endpoint.name, by)
    record = IntegrationRecordSpec(
        endpoint_ref=ObjectReference(name=endpoint.name),
        kind=RecordKind.LAUNCH,
        initiated_by=by,
        environment=spec.environment,
        tenant_id=organization.microsoft365.tenant_id,
        fhir_base_url=spec.base_url,
        launch_url=public + LAUNCH_PATHS[by],
        redirect_uri=public + CALLBACK_PATH if provider else None,
        client_id=spec.smart.clinician_client_id if provider else spec.smart.system_client_id,
        jwks_url=public + JWKS_PATH,
        scopes=clinician_scopes(spec) if provider else system_scopes(spec),
        parameters=[RecordParameter(name="record", value=f"{endpoint.namespace}/{name}")],
        sender_number=sender_number,
        digest="",
    )
    document = record.to_api()
    del document["digest"]
    return record.model_copy(update={"digest": digest_of(document)})


def record_body(key: Key, record: IntegrationRecordSpec, owner: Key, owner_uid: str) -> Body:
    """Return the object to apply. Its owner is the endpoint, so the garbage collector removes it with the endpoint."""
    labels = {
        f"{GROUP}/endpoint": owner.name[:63].rstrip("-."),
        f"{GROUP}/environment": record.environment.value,
        f"{GROUP}/initiated-by": record.initiated_by.value if record.initiated_by else "",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": RECORD,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": ENDPOINT,
                    "name": owner.name,
                    "uid": owner_uid,
                    "controller": True,
                }
            ],
        },
        "spec": record.to_api(),
    }


def differs(desired: Body, standing: Body | None) -> bool:
    """Return whether the record must be written; what others add (labels, annotations) does not count."""
    if standing is None or "deletionTimestamp" in standing["metadata"]:
        return True
    metadata: dict[str, Any] = standing["metadata"]
    labels: dict[str, str] = metadata.get("labels", {})
    wanted: dict[str, Any] = desired["metadata"]
    owners = {owner["uid"] for owner in metadata.get("ownerReferences", [])}
    return (
        standing["spec"] != desired["spec"]
        or any(labels.get(key) != value for key, value in wanted["labels"].items())
        or wanted["ownerReferences"][0]["uid"] not in owners
    )
