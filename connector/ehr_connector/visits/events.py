"""What happens in a visit, and the live status that follows from it. Pure.

Events are told more than once, late and out of order; the status depends on what was told alone, in whatever order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar


class Kind(StrEnum):
    """What happened."""

    LINK_SENT = "link_sent"
    """`code` is a Channel."""
    MOVED = "moved"
    """The EHR gave the appointment another time."""
    CANCELLED = "cancelled"
    """The EHR shows the appointment as cancelled, or as entered in error; `code` is `CANCELLED_BEFORE` when it did so already when first seen."""
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
    """`participant` waits in the lobby; `code` is a Side. All from here on are told by Microsoft Graph."""
    IN_VISIT = "in_visit"
    """`participant` is in the meeting; `code` is a Side."""
    LEFT = "left"
    """`participant` left, from the lobby or from the meeting."""
    ARRIVED_WRITTEN = "arrived_written"
    """The EHR shows the patient as arrived."""


CANCELLED_BEFORE = "before"
"""Nobody can say when it was cancelled."""


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
    """Somebody without an account of the organisation: the patient, a guest, an interpreter, or a colleague from elsewhere."""
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
    is_patient: bool = True
    """Whether it is the patient's stage. Otherwise it is somebody's who may be a guest, an interpreter or a colleague from
    elsewhere, and of the patient nothing is known beyond what the pages told."""
    channels: tuple[Channel, ...] = ()
    device_test: DeviceTestResult | None = None
    came_at: datetime | None = None
    """When somebody was last seen to come who is taken for the patient (`patients_among`)."""
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
_IN_TEAMS = frozenset({Stage.IN_LOBBY, Stage.IN_VISIT, Stage.LEFT})
_ORDER = {stage: number for number, stage in enumerate(Stage)}
ROSTER = frozenset({Kind.IN_LOBBY, Kind.IN_VISIT, Kind.LEFT})
"""What is told of a participant."""
_RANK = {Kind.MOVED: -1, Kind.IN_LOBBY: 1, Kind.IN_VISIT: 2, Kind.LEFT: 3}
"""Which of several events of one instant came first."""
STALE = timedelta(hours=12)
"""A participant of whom nothing was heard for so long is gone: Graph may lose a notification."""
_CLOCKS_DIFFER = timedelta(seconds=60)
"""By how much Graph's clock and ours may differ."""
_Code = TypeVar("_Code", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class _Present:
    """Somebody in the lobby or in the meeting."""

    kind: Kind
    since: datetime
    heard_at: datetime


def status_of(events: Iterable[VisitEvent], now: datetime) -> Status:
    """Return the status after `events`, given in any order and with repetitions."""
    told = in_order(events)
    current = since_the_last_move(told)
    ended = last_of(current, Kind.CALL_ENDED)
    providers = providers_among(told)
    patients = patients_among(told, providers)
    # Whoever is there stays there when the appointment is moved.
    here = {who: one for who, one in _present(told).items() if now - one.heard_at < STALE}
    others = here.keys() - providers
    seen = {event.participant for event in current if event.kind in ROSTER} - providers
    is_patient = bool(patients & (here.keys() | seen))
    whose = patients if is_patient else others | seen
    stage, since = _stage_of(whose, here, current)
    test = last_of(current, Kind.DEVICE_TEST)
    sent = (known_code(Channel, event.code) for event in told if event.kind is Kind.LINK_SENT)
    return Status(
        stage=stage,
        since=since,
        is_patient=is_patient or stage not in _IN_TEAMS,
        channels=tuple(dict.fromkeys(channel for channel in sent if channel is not None)),
        device_test=known_code(DeviceTestResult, test.code) if test else None,
        came_at=_patient_came(current, patients),
        waiting=sum(here[who].kind is Kind.IN_LOBBY for who in others),
        provider_present=any(one.kind is Kind.IN_VISIT and who in providers for who, one in here.items()),
        started_at=_both_inside(current, providers, patients),
        ended_at=ended.happened_at if ended and not here else None,
    )


def _stage_of(
    whose: AbstractSet[str | None], here: Mapping[str, _Present], current: list[VisitEvent]
) -> tuple[Stage, datetime | None]:
    """Return how far those in `whose` are, as one, and since when."""
    present = [one for who, one in here.items() if who in whose]
    for kind, stage in ((Kind.IN_VISIT, Stage.IN_VISIT), (Kind.IN_LOBBY, Stage.IN_LOBBY)):
        if there := [one.since for one in present if one.kind is kind]:
            return stage, min(there)
    seen = [event for event in current if event.kind in ROSTER and event.participant in whose]
    if not seen:
        return _stage_before_the_call(current)
    ended = last_of(current, Kind.CALL_ENDED)
    left = max(event.happened_at for event in [*seen, *([ended] if ended else [])])
    # Who left and opened the page again is on the way back; a link that is sent again brings nobody.
    back = _stage_before_the_call(event for event in current if event.happened_at > left)
    return back if _ORDER[back[0]] > _ORDER[Stage.LINK_SENT] else (Stage.LEFT, left)


def in_order(events: Iterable[VisitEvent]) -> list[VisitEvent]:
    """Return each event once, in the order in which they happened."""
    return sorted({event.key: event for event in events}.values(), key=_chronologically)


def _chronologically(event: VisitEvent) -> tuple[datetime, int, str]:
    return event.happened_at, _RANK.get(event.kind, 0), event.key


def since_the_last_move(told: list[VisitEvent]) -> list[VisitEvent]:
    """Return what counts for the appointment as it stands; a link that was sent leads to it still."""
    moves = [number for number, event in enumerate(told) if event.kind is Kind.MOVED]
    if not moves:
        return told
    before, after = told[: moves[-1]], told[moves[-1] :]
    came = {event.participant for event in after if event.kind in ROSTER - {Kind.LEFT}}
    # Who came for the old time and leaves now has not been to the new one.
    stale = {event.participant for event in before if event.kind in ROSTER} - came
    links = [event for event in before if event.kind is Kind.LINK_SENT]
    return links + [event for event in after if event.kind is not Kind.LEFT or event.participant not in stale]


def known_code(codes: type[_Code], code: str | None) -> _Code | None:
    """Return what a code says; a newer version of this program may write others."""
    return next((one for one in codes if one.value == code), None)


def last_of(told: list[VisitEvent], kind: Kind) -> VisitEvent | None:
    """Return the last event of a kind."""
    return next((event for event in reversed(told) if event.kind is kind), None)


def providers_among(told: list[VisitEvent]) -> set[str | None]:
    """Return the clinicians among the participants; who waits in the lobby is none unless it turned out so."""
    sides = {event.participant: event.code for event in told if event.kind in ROSTER and event.code}
    return {who for who, side in sides.items() if side == Side.PROVIDER}


def patients_among(told: Iterable[VisitEvent], providers: AbstractSet[str | None]) -> set[str]:
    """Return who is taken for the patient: whoever has no account here and appeared after the patient went on to Teams.

    Who was there before is a guest, an interpreter or a colleague from elsewhere. A patient goes on to Teams anew when the
    visit was moved. `told` is in order.
    """
    patients, first, lately = set[str](), set[str](), dict[str, datetime]()
    joining = False
    for event in told:
        if event.kind is Kind.MOVED:
            joining, lately = False, {}
        elif event.kind is Kind.JOINING and not joining:
            joining = True
            patients |= {who for who, at in lately.items() if at >= event.happened_at - _CLOCKS_DIFFER}
        elif event.kind in ROSTER - {Kind.LEFT} and event.participant is not None and event.participant not in first:
            first.add(event.participant)
            lately[event.participant] = event.happened_at
            if joining:
                patients.add(event.participant)
    return {who for who in patients if who not in providers}


def _patient_came(told: list[VisitEvent], patients: set[str]) -> datetime | None:
    """Return when the patient was last told of as present, after having gone on to Teams."""
    joining = next((number for number, event in enumerate(told) if event.kind is Kind.JOINING), len(told))
    came = (event for event in told[joining:] if event.kind in ROSTER - {Kind.LEFT})
    return max((event.happened_at for event in came if event.participant in patients), default=None)


def _present(told: list[VisitEvent]) -> dict[str, _Present]:
    """Return who is there, and since when: Graph tells of somebody again whenever a microphone or a camera is changed."""
    here: dict[str, _Present] = {}
    for event in told:
        if event.kind is Kind.CALL_ENDED:
            here.clear()
        elif event.participant is None or event.kind not in ROSTER:
            continue
        elif event.kind is Kind.LEFT:
            here.pop(event.participant, None)
        else:
            known = here.get(event.participant)
            since = known.since if known is not None and known.kind is event.kind else event.happened_at
            here[event.participant] = _Present(event.kind, since, event.happened_at)
    return here


def _stage_before_the_call(told: Iterable[VisitEvent]) -> tuple[Stage, datetime | None]:
    """Return the furthest stage that pages tell of, and when it was reached last."""
    stage, since = Stage.NOT_SENT, None
    for event in told:
        reached = _BEFORE_THE_CALL.get(event.kind)
        if reached is not None and _ORDER[reached] >= _ORDER[stage]:
            stage, since = reached, event.happened_at
    return stage, since


def _both_inside(told: list[VisitEvent], providers: set[str | None], patients: set[str]) -> datetime | None:
    """Return the first moment at which a clinician and the patient were in the meeting together."""
    inside = set[str]()
    for event in told:
        if event.participant is None:
            continue
        if event.kind is Kind.IN_VISIT:
            inside.add(event.participant)
        elif event.kind in {Kind.LEFT, Kind.IN_LOBBY}:
            inside.discard(event.participant)
        if inside & providers and inside & patients:
            return event.happened_at
    return None
