"""One visit's events as what the reports say of it. Pure: the same whatever the order and number in which events are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ehr_connector.reports.ports import BroughtBy, VisitStatus
from ehr_connector.visits.booking import VisitKind
from ehr_connector.visits.events import (
    ROSTER,
    STALE,
    Channel,
    DeviceTestResult,
    Kind,
    VisitEvent,
    in_order,
    known_code,
    last_of,
    patients_among,
    providers_among,
    since_the_last_move,
)

LATE = timedelta(hours=24)
"""A visit that is cancelled less than this before it begins is cancelled late: its time is hard to give to another."""
_BROUGHT_BY = {Channel.SMS: BroughtBy.SMS, Channel.EMAIL: BroughtBy.EMAIL, Channel.COPY: BroughtBy.COPY}


@dataclass(frozen=True, slots=True)
class Booked:
    """What is known of a visit beside its events."""

    kind: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Course:
    """How a visit went, as far as is known now."""

    status: VisitStatus
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: int
    lobby_wait_s: int | None
    attendees: int
    peak_attendees: int
    brought_by: BroughtBy
    device_test: DeviceTestResult | None
    changes_at: datetime | None
    """When time alone may change this; None when only another event can."""


@dataclass(slots=True)
class _Meeting:
    """What Graph told of the meeting."""

    providers: set[str]
    patients: set[str]
    is_consult: bool
    entered: set[str] = field(default_factory=set[str])
    inside: set[str] = field(default_factory=set[str])
    peak: int = 0
    started_at: datetime | None = None
    left_at: datetime | None = None
    """When somebody last left, after both sides had been in."""
    heard_at: datetime | None = None

    @property
    def has_both_sides(self) -> bool:
        """Whether both sides are in; those of a consult are two clinicians."""
        if self.is_consult:
            return len(self.inside) > 1
        return bool(self.inside & self.providers and self.inside & self.patients)

    def take(self, event: VisitEvent) -> None:
        """Follow one event."""
        who, before = event.participant, len(self.inside)
        if event.kind is Kind.CALL_ENDED:
            self.inside.clear()
        elif event.kind not in ROSTER or who is None:
            return
        elif event.kind is Kind.IN_VISIT:
            self.inside.add(who)
            self.entered.add(who)
            self.peak = max(self.peak, len(self.inside))
        else:
            self.inside.discard(who)
        self.heard_at = event.happened_at
        if self.has_both_sides and self.started_at is None:
            self.started_at = event.happened_at
        if self.started_at is not None and len(self.inside) < before:
            self.left_at = event.happened_at

    def is_heard_of(self, now: datetime) -> bool:
        """Return whether it was heard of lately: Graph may lose a farewell."""
        return self.heard_at is not None and now - self.heard_at < STALE

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when the last one left; who was lost sight of is taken to have left when last heard of."""
        if self.started_at is None or (self.inside and self.is_heard_of(now)):
            return None
        return self.heard_at if self.inside else self.left_at


def course_of(booked: Booked, events: Iterable[VisitEvent], now: datetime) -> Course:
    """Return how a visit went after `events`, in any order and with repetitions."""
    told = in_order(events)
    current = since_the_last_move(told)
    providers = {one for one in providers_among(told) if one is not None}
    is_consult = booked.kind == VisitKind.CONSULT
    meeting = _Meeting(providers, patients_among(current, providers), is_consult)
    for event in current:
        meeting.take(event)
    ended_at = meeting.ended_at(now)
    status = _status(booked, current, meeting, now)
    waiting_since, wait_s = _wait(current, meeting, now)
    changes = [booked.ends_at] if status is VisitStatus.SCHEDULED else []
    if meeting.heard_at is not None and meeting.is_heard_of(now) and (meeting.inside or waiting_since):
        changes.append(meeting.heard_at + STALE)
    test = last_of(current, Kind.DEVICE_TEST)
    return Course(
        status=status,
        started_at=meeting.started_at,
        ended_at=ended_at,
        duration_s=_seconds(meeting.started_at, ended_at) if meeting.started_at and ended_at else 0,
        lobby_wait_s=wait_s,
        attendees=len(meeting.entered),
        peak_attendees=meeting.peak,
        brought_by=BroughtBy.NONE if is_consult else _brought_by(current),
        device_test=known_code(DeviceTestResult, test.code) if test else None,
        changes_at=min(changes, default=None),
    )


def _status(booked: Booked, current: list[VisitEvent], meeting: _Meeting, now: datetime) -> VisitStatus:
    if meeting.started_at is not None:
        return VisitStatus.COMPLETED if meeting.ended_at(now) else VisitStatus.IN_PROGRESS
    cancelled = last_of(current, Kind.CANCELLED)
    if cancelled is not None and cancelled.code is not None:
        return VisitStatus.CANCELLED
    # Once it should have begun, somebody did not come: to cancel it then tidies the calendar up.
    if cancelled is not None and cancelled.happened_at < booked.starts_at:
        late = cancelled.happened_at > booked.starts_at - LATE
        return VisitStatus.CANCELLED_LATE if late else VisitStatus.CANCELLED
    if now < booked.ends_at:
        return VisitStatus.SCHEDULED
    return _of_a_consult(current, meeting) if meeting.is_consult else _of_a_visit(current, meeting)


def _of_a_visit(current: list[VisitEvent], meeting: _Meeting) -> VisitStatus:
    """Return why a patient and a clinician did not meet."""
    kinds = {event.kind for event in current}
    patient_came = bool(meeting.patients)
    provider_came = any(event.kind in ROSTER and event.participant in meeting.providers for event in current)
    if patient_came and provider_came:
        return VisitStatus.HALF_JOINED
    test = last_of(current, Kind.DEVICE_TEST)
    device_fails = test is not None and test.code != DeviceTestResult.PASSED
    if (Kind.JOINING in kinds or device_fails) and not patient_came:
        return VisitStatus.TECHNICAL_FAILURE
    if Kind.PROVIDER_JOINING in kinds and not provider_came:
        return VisitStatus.TECHNICAL_FAILURE
    if patient_came:
        return VisitStatus.NO_SHOW_PROVIDER
    return VisitStatus.NO_SHOW_PATIENT if provider_came else VisitStatus.NO_SHOW_BOTH


def _of_a_consult(current: list[VisitEvent], meeting: _Meeting) -> VisitStatus:
    """Return why two clinicians did not meet."""
    if len(meeting.entered) > 1:
        return VisitStatus.HALF_JOINED
    if meeting.entered:
        return VisitStatus.NO_SHOW_PROVIDER
    tried = last_of(current, Kind.PROVIDER_JOINING) is not None
    return VisitStatus.TECHNICAL_FAILURE if tried else VisitStatus.NO_SHOW_BOTH


def _wait(current: Sequence[VisitEvent], meeting: _Meeting, now: datetime) -> tuple[datetime | None, int | None]:
    """Return since when the patient waits, and how long it took from the lobby into the meeting, or away."""
    since: datetime | None = None
    for event in current:
        is_patient = event.participant in meeting.patients
        if event.kind is Kind.IN_LOBBY and is_patient:
            since = since or event.happened_at
        elif since is not None and (
            event.kind is Kind.CALL_ENDED or (event.kind in {Kind.IN_VISIT, Kind.LEFT} and is_patient)
        ):
            return None, _seconds(since, event.happened_at)
    if since is None or meeting.heard_at is None or meeting.is_heard_of(now):
        return since, None
    return None, _seconds(since, meeting.heard_at)


def _brought_by(current: Sequence[VisitEvent]) -> BroughtBy:
    """Return how the last link went out before the patient first used it; none did: it was the one in the EHR."""
    used = next((event for event in current if event.kind in {Kind.OPENED, Kind.JOINING}), None)
    if used is None:
        return BroughtBy.NONE
    sent = [
        channel
        for event in current
        if event.kind is Kind.LINK_SENT and event.happened_at <= used.happened_at
        if (channel := known_code(Channel, event.code)) is not None
    ]
    return _BROUGHT_BY[sent[-1]] if sent else BroughtBy.EHR


def _seconds(start: datetime, end: datetime) -> int:
    return max(0, int((end - start).total_seconds()))
