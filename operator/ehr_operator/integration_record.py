"""The kind IntegrationRecord: counts the revisions of what the EHR admin copies, and restores a record that was lost.

Its spec is written by its FhirEndpoint's reconcile; here is only what is known about the use of the record.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from ehr_api.v1alpha1.integration_record import IntegrationRecordSpec, IntegrationRecordStatus
from ehr_operator.runtime.model import Body, Finalized, Key, Object, Outcome, State
from ehr_operator.views import ENDPOINT, RECORD, is_deleting

Record = Object[IntegrationRecordSpec, IntegrationRecordStatus]


class IntegrationRecordKind:
    """Keeps the status of integration records."""

    kind = RECORD
    plural = "integrationrecords"
    spec_type = IntegrationRecordSpec
    status_type = IntegrationRecordStatus
    finalizer: str | None = None
    workers = 16
    min_interval_s = 0.1
    indexes: tuple[str, ...] = ()

    def signal(self, body: Body) -> Hashable:
        """The endpoint looks at spec, labels and owner, so that a change by somebody else is put right."""
        return body["metadata"].get("generation"), str(body["metadata"].get("labels")), is_deleting(body)

    def may_go(self, body: Body) -> bool:
        """Let go: nothing outside belongs to a record."""
        return True

    def related(self, body: Body) -> Iterable[Key]:
        """Wake the endpoint that the record belongs to."""
        yield Key(ENDPOINT, body["metadata"]["namespace"], body["spec"]["endpointRef"]["name"])

    async def reconcile(self, obj: Record) -> Outcome[IntegrationRecordStatus]:
        """Count a changed digest as a new revision."""
        status = obj.status
        if status.digest != obj.spec.digest:
            status = status.model_copy(update={"digest": obj.spec.digest, "revision": (status.revision or 0) + 1})
        return Outcome(
            state=State.READY,
            reason="Written",
            message="copy spec into the EHR, then compare the digest",
            findings=(),
            status=status,
        )

    async def finalize(self, obj: Record) -> Outcome[IntegrationRecordStatus] | Finalized:
        """Nothing outside belongs to a record."""
        return Finalized()
