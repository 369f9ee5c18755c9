"""The integration records of an endpoint. Pure, and byte-stable: equal inputs give equal names, labels and specs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ehr_api.digest import digest_of
from ehr_api.duration import seconds
from ehr_api.meta import API_VERSION, GROUP, ObjectReference
from ehr_api.profile import clinician_scopes, system_scopes
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_api.v1alpha1.integration_record import (
    FormerRecord,
    InitiatedBy,
    IntegrationRecordSpec,
    IntegrationRecordStatus,
    RecordKind,
    RecordParameter,
)
from ehr_operator.runtime.model import Body, Key
from ehr_operator.views import ENDPOINT, RECORD

LAUNCH_PATHS = {InitiatedBy.PATIENT: "/launch/patient", InitiatedBy.PROVIDER: "/launch/provider"}
CALLBACK_PATH = "/launch/callback"
DEVICE_TEST_PATH = "/device-test"
JWKS_PATH = "/.well-known/jwks.json"
DEFAULT_OVERLAP = "336h"
_FORMER = 5
"""So many earlier revisions are kept, however fast one follows the other."""
_NAMES = {RecordKind.DEVICE_TEST: "device-test", RecordKind.SMS: "sms"}


def record_name(endpoint: str, record: InitiatedBy | RecordKind) -> str:
    """Return the name of a record: the launch of an initiator, or the one record of another kind."""
    return f"{endpoint}-{record.lower() if isinstance(record, InitiatedBy) else _NAMES[record]}"


def record_keys(endpoint: Key) -> list[Key]:
    """Return the keys of all records that an endpoint can have."""
    return [_key(endpoint, record) for record in (*InitiatedBy, RecordKind.DEVICE_TEST, RecordKind.SMS)]


def sms_record_key(endpoint: Key) -> Key:
    """Return the key of the record that an endpoint has only while it links a number."""
    return _key(endpoint, RecordKind.SMS)


def records(
    endpoint: Key, spec: FhirEndpointSpec, organization: EHRConnectorConfigSpec, sender_number: str | None
) -> dict[Key, IntegrationRecordSpec]:
    """Return what the EHR admin copies: the launch of each initiator, the device test, and the number that texts.

    The number stands in a record of its own: it comes later than the rest, and may change without a launch to copy again.
    """
    found = {_key(endpoint, by): _launch(by, endpoint, spec, organization) for by in InitiatedBy}
    key = _key(endpoint, RecordKind.DEVICE_TEST)
    found[key] = _with_digest(
        _base(RecordKind.DEVICE_TEST, endpoint, spec, organization).model_copy(
            update={
                "launch_url": organization.connector.public_url + DEVICE_TEST_PATH,
                "parameters": _parameters(key),
            }
        )
    )
    if sender_number is not None:
        sms = _base(RecordKind.SMS, endpoint, spec, organization)
        found[sms_record_key(endpoint)] = _with_digest(sms.model_copy(update={"sender_number": sender_number}))
    return found


def _key(endpoint: Key, record: InitiatedBy | RecordKind) -> Key:
    return Key(RECORD, endpoint.namespace, record_name(endpoint.name, record))


def _parameters(key: Key) -> list[RecordParameter]:
    return [RecordParameter(name="record", value=f"{key.namespace}/{key.name}")]


def _base(
    kind: RecordKind, endpoint: Key, spec: FhirEndpointSpec, organization: EHRConnectorConfigSpec
) -> IntegrationRecordSpec:
    return IntegrationRecordSpec(
        endpoint_ref=ObjectReference(name=endpoint.name),
        kind=kind,
        environment=spec.environment,
        tenant_id=organization.microsoft365.tenant_id,
        fhir_base_url=spec.base_url,
        digest="",
    )


def _launch(
    by: InitiatedBy, endpoint: Key, spec: FhirEndpointSpec, organization: EHRConnectorConfigSpec
) -> IntegrationRecordSpec:
    """Return the record of a launch. Both are launched with the clinician's client; the provider's has system access too."""
    public = organization.connector.public_url
    system: dict[str, Any] = {"system_client_id": spec.smart.system_client_id, "system_scopes": system_scopes(spec)}
    return _with_digest(
        _base(RecordKind.LAUNCH, endpoint, spec, organization).model_copy(
            update={
                "initiated_by": by,
                "launch_url": public + LAUNCH_PATHS[by],
                "redirect_uri": public + CALLBACK_PATH,
                "client_id": spec.smart.clinician_client_id,
                "jwks_url": public + JWKS_PATH,
                "scopes": clinician_scopes(spec),
                "parameters": _parameters(_key(endpoint, by)),
                **(system if by is InitiatedBy.PROVIDER else {}),
            }
        )
    )


def _with_digest(record: IntegrationRecordSpec) -> IntegrationRecordSpec:
    return record.model_copy(update={"digest": content_digest(record)})


def content_digest(record: IntegrationRecordSpec) -> str:
    """Return the digest of what a record says."""
    document = record.to_api()
    del document["digest"]
    return digest_of(document)


def overlap_s(spec: FhirEndpointSpec) -> float:
    """Return the seconds for which an old record stays valid after a change."""
    return seconds((spec.records.overlap if spec.records else None) or DEFAULT_OVERLAP)


def with_former(
    status: IntegrationRecordStatus, record: IntegrationRecordSpec, valid_until: datetime
) -> IntegrationRecordStatus:
    """Return the status of a record that is about to be changed from `record`, which stays valid for a time.

    Only what the operator wrote itself is kept: where somebody changed the spec, there is nothing that was ever copied.
    """
    if status.digest != record.digest or content_digest(record) != record.digest:
        return status
    former = FormerRecord(revision=status.revision or 1, valid_until=valid_until, record=record)
    others = [one for one in status.former if one.record.digest != record.digest]
    return status.model_copy(update={"former": [former, *others][:_FORMER]})


def record_body(key: Key, record: IntegrationRecordSpec, owner: Key, owner_uid: str) -> Body:
    """Return the object to apply. Its owner is the endpoint, so the garbage collector removes it with the endpoint."""
    labels = {
        f"{GROUP}/endpoint": owner.name[:63].rstrip("-."),
        f"{GROUP}/environment": record.environment.value,
        f"{GROUP}/kind": record.kind.value,
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
