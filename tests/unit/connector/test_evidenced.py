"""A patient's join counts once it is the patient's: not that of a guest, an interpreter or a colleague."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from unit.connector.visiting import START

from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.events import Kind, Side, VisitEvent
from ehr_connector.visits.evidenced import Evidenced

JOINING = VisitEvent("joining", Kind.JOINING, START)
LOBBY = VisitEvent("lobby", Kind.IN_LOBBY, START + timedelta(seconds=9), Side.PATIENT, "p")
ADMITTED = VisitEvent("admitted", Kind.IN_VISIT, START + timedelta(minutes=1), Side.PATIENT, "p")
INTERPRETER = VisitEvent("interpreter", Kind.IN_VISIT, START - timedelta(minutes=9), Side.PATIENT, "i")
COLLEAGUE = VisitEvent("colleague", Kind.IN_VISIT, START + timedelta(minutes=1), Side.PROVIDER, "d")


class Seen:
    """The events of the visit, and what was counted and audited."""

    def __init__(self, events: Sequence[VisitEvent]) -> None:
        self.events = events
        self.joins = 0
        self.audited: list[str] = []

    async def of(self, _visit: str) -> Sequence[VisitEvent]:
        """Return the events."""
        return self.events

    async def patient_joined(self, _row: VisitRow) -> None:
        """Count a join."""
        self.joins += 1

    async def record_once(self, token: str, *_parts: str) -> None:
        """Audit it."""
        self.audited.append(token)

    def name(self, *parts: str) -> str:
        """Return a keyed name."""
        return "/".join(parts)


@pytest.mark.parametrize(
    ("kind", "told", "counted"),
    [
        ("patient", [JOINING, LOBBY, ADMITTED], 1),
        ("patient", [LOBBY, ADMITTED], 0),
        ("patient", [JOINING, LOBBY, INTERPRETER], 0),
        ("patient", [JOINING, COLLEAGUE], 0),
        ("consult", [JOINING, LOBBY, ADMITTED], 0),
    ],
    ids=["patient", "interpreter", "interpreter while the patient waits", "clinician", "consult"],
)
async def test_only_a_patient_who_came_by_the_patients_link_counts(
    kind: str, told: Sequence[VisitEvent], counted: int
) -> None:
    seen: Any = Seen(told)
    digest = "sha256:" + "0" * 64
    row = VisitRow("visit", "a", "b", "c", "Test", digest, "d", kind, START, START + timedelta(minutes=30))
    await Evidenced(seen, seen, seen, seen, lambda: START + timedelta(minutes=2))(row, told[-1:])
    assert (seen.joins, seen.audited) == (counted, ["audited join/visit/p"] * counted)
