"""Writes the integration records of an endpoint: what differs, what is new, and what is wanted no more."""

from __future__ import annotations

from datetime import timedelta

from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec, FhirEndpointStatus
from ehr_api.v1alpha1.integration_record import IntegrationRecordSpec, IntegrationRecordStatus
from ehr_operator.fhir_endpoint.records import differs, overlap_s, record_body, records, sms_record_key, with_former
from ehr_operator.runtime.kube import ForbiddenError, InvalidError
from ehr_operator.runtime.model import Api, Body, Clock, Key, Object, Objects, parse_object
from ehr_operator.views import RECORD, is_deleting, number_of

Endpoint = Object[FhirEndpointSpec, FhirEndpointStatus]


class RecordWriter:
    """Keeps the records of endpoints as they should be."""

    def __init__(self, api: Api, objects: Objects, clock: Clock) -> None:
        self._api = api
        self._objects = objects
        self._clock = clock

    async def write(self, obj: Endpoint, organization: EHRConnectorConfigSpec) -> str | None:
        """Write what differs; return why that was refused, if it was.

        Raises:
            ConflictError: Somebody changed a record meanwhile.
        """
        try:
            for key, record in records(obj.key, obj.spec, organization, self._sender(obj)).items():
                body = record_body(key, record, obj.key, obj.uid)
                standing = self._objects.get(key)
                if differs(body, standing):
                    if standing is not None and not is_deleting(standing) and standing["spec"] != body["spec"]:
                        await self._keep_former(key, standing, overlap_s(obj.spec))
                    await self._api.apply(body)
            await self._remove_unlinked(obj)
        except (ForbiddenError, InvalidError) as exc:
            return str(exc)
        return None

    def _sender(self, obj: Endpoint) -> str | None:
        number = number_of(self._objects, obj.body)
        if number is None or number["spec"]["configRef"]["name"] != obj.spec.config_ref.name:
            return None  # `SmsLinked` says so
        return number.get("status", {}).get("phoneNumber")

    async def _keep_former(self, key: Key, standing: Body, overlap: float) -> None:
        """Put into the record's status what it says now, before that is overwritten: it may stand in the EHR."""
        obj = parse_object(RECORD, standing, IntegrationRecordSpec, IntegrationRecordStatus)
        until = (self._clock() + timedelta(seconds=overlap)).replace(microsecond=0)
        status = with_former(obj.status, obj.spec, until)
        if overlap and status != obj.status:
            await self._api.write_intent(obj, status)

    async def _remove_unlinked(self, obj: Endpoint) -> None:
        """Remove the record of a number once none is linked; while a linked one is not known yet, the last one stands."""
        key = sms_record_key(obj.key)
        standing = self._objects.get(key)
        if obj.spec.sms_number_ref is None and standing is not None and not is_deleting(standing):
            await self._api.delete(key, standing["metadata"]["uid"])
