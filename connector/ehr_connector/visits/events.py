"""What happens in a visit, and the live status that follows from it. Pure.

Events are told more than once, late and out of order; the status depends on what was told alone, in whatever order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What happened."""

    LINK_SENT = "link_sent"
    """`code` is a Channel."""
    MOVED = "moved"
    """The EHR gave the appointment another time."""
    OPENED = "opened"
    """The patient used the page: touched it or pressed a key, so that no scanner of links counts."""
    DEVICE_TEST = "device_test"
    """`code` is a DeviceTestResult."""
    JOINING = "joining"
    """The patient went on to Teams."""
    PROVIDER_JOINING = "provider_joining"
    """A clinician went on to Teams from the EHR."""
    CALL_STARTED = "call_started"
    CALL_ENDED = "call_ended"
    IN_LOBBY = "in_lobby"
    """`participant` waits in the lobby. All from here on are told by Microsoft Graph."""
    IN_VISIT = "in_visit"
    """`participant` is in the meeting; `code` is a Side."""
    LEFT = "left"
    """`participant` left, from the lobby or from the meeting."""
    ARRIVED_WRITTEN = "arrived_written"
    """The EHR shows the patient as arrived."""


class Channel(StrEnum):
    """How a link went to the patient."""

    SMS = "sms"
    EMAIL = "email"
    COPY = "copy"


class DeviceTestResult(StrEnum):
    """How the patient's device test ended; codes only, nothing of the device."""

    PASSED = "passed"
    NO_MICROPHONE = "no_microphone"
    NO_CAMERA = "no_camera"
    REFUSED = "refused"
    """The browser or the person refused access."""
    SILENT = "silent"
    """The microphone gave no sound."""
    NO_CONNECTION = "no_connection"
    UNSUPPORTED = "unsupported"
    """The browser cannot do it."""


class Side(StrEnum):
    """Who a participant of the meeting is."""

    PATIENT = "patient"
    """Somebody without an account of the organisation: the patient, or a guest."""
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class VisitEvent:
    """One event. Two with the same key of the same visit are one."""

    key: str
    kind: Kind
    happened_at: datetime
    code: str | None = None
    participant: str | None = None
    """Keyed digest of the participant's id."""


class Stage(StrEnum):
    """How far the patient is: what the clinician sees."""

    NOT_SENT = "not_sent"
    LINK_SENT = "link_sent"
    MOVED = "moved"
    """The EHR gave the appointment another time."""
    OPENED = "opened"
    JOINING = "joining"
    IN_LOBBY = "in_lobby"
    IN_VISIT = "in_visit"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Status:
    """The live status of a visit."""

    stage: Stage = Stage.NOT_SENT
    since: datetime | None = None
    """Since when the patient is at this stage."""
    channels: tuple[Channel, ...] = ()
    device_test: DeviceTestResult | None = None
    waiting: int = 0
    """How many wait in the lobby."""
    provider_present: bool = False
    started_at: datetime | None = None
    """When both sides were in the meeting for the first time."""
    ended_at: datetime | None = None


_BEFORE_THE_CALL = {
    Kind.LINK_SENT: Stage.LINK_SENT,
    Kind.OPENED: Stage.OPENED,
    Kind.JOINING: Stage.JOINING,
}
_ORDER = {stage: number for number, stage in enumerate(Stage)}
_ROSTER = frozenset({Kind.IN_LOBBY, Kind.IN_VISIT, Kind.LEFT})
_STALE = timedelta(hours=12)
"""A participant of whom nothing was heard for so long is gone: Graph may lose a notification."""


def status_of(events: Iterable[VisitEvent], now: datetime) -> Status:
    """Return the status after `events`, given in any order and with repetitions."""
    told = sorted({event.key: event for event in events}.values(), key=_chronologically)
    before = _stage_before_the_call(told)
    roster = {event.participant: event for event in told if event.kind in _ROSTER and event.participant}
    ended = _last(told, Kind.CALL_ENDED)
    here = {
        participant: event
        for participant, event in roster.items()
        if event.kind is not Kind.LEFT
        and now - event.happened_at < _STALE
        and (ended is None or event.happened_at > ended.happened_at)
    }
    sides = {event.participant: event.code for event in told if event.kind is Kind.IN_VISIT}
    patients = [event for event in here.values() if _is_patient(event, sides)]
    waiting = [event for event in patients if event.kind is Kind.IN_LOBBY]
    inside = [event for event in patients if event.kind is Kind.IN_VISIT]
    seen = [event for event in roster.values() if _is_patient(event, sides)]
    if inside:
        stage, since = Stage.IN_VISIT, min(event.happened_at for event in inside)
    elif waiting:
        stage, since = Stage.IN_LOBBY, min(event.happened_at for event in waiting)
    elif seen:
        ends = [ended.happened_at] if ended else []
        left = max([*(event.happened_at for event in seen), *ends])
        # Who left and opened the page again is on the way back.
        stage, since = before if before[1] is not None and before[1] > left else (Stage.LEFT, left)
    else:
        stage, since = before
    test = _last(told, Kind.DEVICE_TEST)
    return Status(
        stage=stage,
        since=since,
        channels=tuple(dict.fromkeys(Channel(e.code) for e in told if e.kind is Kind.LINK_SENT and e.code)),
        device_test=DeviceTestResult(test.code) if test and test.code else None,
        waiting=len(waiting),
        provider_present=any(event.kind is Kind.IN_VISIT and event.code == Side.PROVIDER for event in here.values()),
        started_at=_both_inside(told),
        ended_at=ended.happened_at if ended and not here else None,
    )


def _chronologically(event: VisitEvent) -> tuple[datetime, str]:
    return event.happened_at, event.key


def _last(told: list[VisitEvent], kind: Kind) -> VisitEvent | None:
    return next((event for event in reversed(told) if event.kind is kind), None)


def _is_patient(event: VisitEvent, sides: dict[str | None, str | None]) -> bool:
    """Who waits in the lobby is a patient unless it turned out that it was a clinician."""
    return sides.get(event.participant, Side.PATIENT) != Side.PROVIDER


def _stage_before_the_call(told: list[VisitEvent]) -> tuple[Stage, datetime | None]:
    """Return the furthest stage that pages tell of, and when it was reached last."""
    stage, since = Stage.NOT_SENT, None
    for event in told:
        reached = _BEFORE_THE_CALL.get(event.kind)
        if reached is not None and _ORDER[reached] >= _ORDER[stage]:
            stage, since = reached, event.happened_at
    return stage, since


def _both_inside(told: list[VisitEvent]) -> datetime | None:
    """Return the first moment at which a clinician and a patient were in the meeting together."""
    inside: dict[str, str] = {}
    for event in told:
        if event.participant is None:
            continue
        if event.kind is Kind.IN_VISIT:
            inside[event.participant] = event.code or Side.PATIENT
        elif event.kind in {Kind.LEFT, Kind.IN_LOBBY}:
            inside.pop(event.participant, None)
        if {Side.PATIENT, Side.PROVIDER} <= set(inside.values()):
            return event.happened_at
    return None
