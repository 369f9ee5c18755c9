"""The kind IntegrationRecord: revisions, who copied which of them, when it was last used, and what is still valid beside it.

Its spec is written by its FhirEndpoint's reconcile; here is only what is known about the use of the record.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Any

from ehr_api.conditions import Finding, Type, false, find, true
from ehr_api.meta import ACKNOWLEDGED_BY, ACKNOWLEDGED_DIGEST
from ehr_api.v1alpha1.integration_record import FormerRecord, IntegrationRecordSpec, IntegrationRecordStatus
from ehr_operator.integration_record_sightings import SIGHTING_STEP, Sightings
from ehr_operator.runtime.model import Body, Change, Clock, Finalized, Key, Note, Object, Outcome, State
from ehr_operator.views import ENDPOINT, RECORD, is_deleting

Record = Object[IntegrationRecordSpec, IntegrationRecordStatus]

_LONGEST_NAME = 256


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

    def __init__(self, clock: Clock, sightings: Sightings) -> None:
        self._clock = clock
        self._sightings = sightings

    def signal(self, body: Body) -> Hashable:
        """The endpoint looks at spec, labels and owner, so that a change by somebody else is put right."""
        return body["metadata"].get("generation"), str(body["metadata"].get("labels")), is_deleting(body)

    def may_go(self, body: Body) -> bool:
        """Let go: nothing outside belongs to a record."""
        return True

    def related(self, body: Body) -> Iterable[Key]:
        """Wake the endpoint that the record belongs to."""
        yield Key(ENDPOINT, body["metadata"]["namespace"], body["spec"]["endpointRef"]["name"])

    def mended_by(self, change: Change) -> bool:
        """Whatever is related may have mended it."""
        return True

    async def reconcile(self, obj: Record) -> Outcome[IntegrationRecordStatus]:
        """Count a changed digest as a new revision, and judge the acknowledgement."""
        now = self._clock().replace(microsecond=0)
        status = obj.status
        if status.digest != obj.spec.digest:
            status = status.model_copy(update={"digest": obj.spec.digest, "revision": (status.revision or 0) + 1})
        former = _still_valid(status.former, obj.spec, now)
        status = status.model_copy(
            update=_acknowledgement(obj, now)
            | {"former": former, "last_seen_launch": self._last_seen(obj.key, status.last_seen_launch)}
        )
        acknowledged = _acknowledged(obj, status)
        return Outcome(
            state=State.READY,
            reason="Written",
            message="copy spec into the EHR, then compare the digest",
            findings=(acknowledged,),
            status=status,
            requeue_after_s=min(((one.valid_until - now).total_seconds() for one in former), default=None),
            notes=_notes(obj, acknowledged),
        )

    async def finalize(self, obj: Record) -> Outcome[IntegrationRecordStatus] | Finalized:
        """Nothing outside belongs to a record."""
        return Finalized()

    def _last_seen(self, key: Key, known: datetime | None) -> datetime | None:
        seen = self._sightings.last_seen(key)
        return seen if seen is not None and (known is None or seen - known >= SIGHTING_STEP) else known


def _still_valid(former: list[FormerRecord], spec: IntegrationRecordSpec, now: datetime) -> list[FormerRecord]:
    """Return the earlier revisions whose time is not over; what came back is no earlier one."""
    return [one for one in former if one.valid_until > now and one.record.digest != spec.digest]


def _acknowledgement(obj: Record, now: datetime) -> dict[str, Any]:
    """Return the fields of status: the last acknowledgement of a revision, until somebody takes it back."""
    status = obj.status
    digest, by = obj.annotations.get(ACKNOWLEDGED_DIGEST, ""), obj.annotations.get(ACKNOWLEDGED_BY, "")
    if not digest:
        return {"acknowledged_digest": None, "acknowledged_by": None, "acknowledged_at": None}
    if digest != obj.spec.digest or not by:
        return {}
    by = by[:_LONGEST_NAME]
    if (status.acknowledged_digest, status.acknowledged_by) == (digest, by):
        return {}
    return {"acknowledged_digest": digest, "acknowledged_by": by, "acknowledged_at": now}


def _acknowledged(obj: Record, status: IntegrationRecordStatus) -> Finding:
    digest, by = obj.annotations.get(ACKNOWLEDGED_DIGEST, ""), obj.annotations.get(ACKNOWLEDGED_BY, "")
    command = (
        f"copy it into the EHR, then: kubectl annotate irec {obj.key.name} -n {obj.key.namespace} --overwrite"
        f" {ACKNOWLEDGED_DIGEST}={obj.spec.digest} {ACKNOWLEDGED_BY}=YOUR-NAME"
    )
    if not digest:
        return false(Type.ACKNOWLEDGED, "NotAcknowledged", f"nobody has said to have copied this record: {command}")
    if digest != obj.spec.digest:
        who = f"since {status.acknowledged_by} copied it" if status.acknowledged_by else "since it was copied"
        valid = max((one.valid_until for one in status.former), default=None)
        until = f"; what stood there before is valid until {valid:%Y-%m-%d %H:%M} UTC" if valid else ""
        return false(Type.ACKNOWLEDGED, "RecordChanged", f"the record changed {who}{until}: {command}")
    if not by:
        return false(Type.ACKNOWLEDGED, "AcknowledgerMissing", f"nobody's name stands beside the digest: {command}")
    return true(Type.ACKNOWLEDGED, "Acknowledged", f"{status.acknowledged_by} copied revision {status.revision}")


def _notes(obj: Record, acknowledged: Finding) -> tuple[Note, ...]:
    """Tell once of a record that has to be copied again, and of who copied it."""
    standing = find(obj.status.conditions, Type.ACKNOWLEDGED)
    if standing is None or standing.reason == acknowledged.reason:
        return ()
    if acknowledged.reason == "RecordChanged":
        return (Note("CopyAgain", acknowledged.message, warning=True),)
    if acknowledged.reason == "Acknowledged":
        return (Note("RecordAcknowledged", acknowledged.message),)
    return ()
