"""What follows from what Graph tells of a visit, beside its status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ehr_connector.audit import Action, Audit
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.store.events import Events
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.booking import VisitKind
from ehr_connector.visits.events import Kind, Side, VisitEvent, in_order, patients_among, providers_among, status_of


class Evidenced:
    """Follows what Graph tells of a visit: a patient in the meeting is evidence for promotion, and audited.

    Who has no account of the organisation may be a guest: it is the patient who went on to Teams by the patient's link.
    """

    def __init__(
        self, evidence: EvidenceBook, audit: Audit, events: Events, secret: SecretKeys, now: Callable[[], datetime]
    ) -> None:
        self._evidence = evidence
        self._audit = audit
        self._events = events
        self._secret = secret
        self._now = now

    async def __call__(self, row: VisitRow, told: Sequence[VisitEvent]) -> None:
        """Count a patient who joined; the same told again counts no second time."""
        joined = {one.participant or "" for one in told if one.kind is Kind.IN_VISIT and one.code == Side.PATIENT}
        if row.kind != VisitKind.PATIENT or not joined:
            return
        known = in_order(await self._events.of(row.visit))
        patients = joined & patients_among(known, providers_among(known))
        if not patients or status_of(known, self._now()).came_at is None:
            return
        await self._evidence.patient_joined(row)
        for participant in sorted(patients):
            token = self._secret.name("audited join", row.visit, participant)
            await self._audit.record_once(
                token, row.namespace, row.name, Action.PATIENT_JOINED, Side.PATIENT, row.visit
            )
