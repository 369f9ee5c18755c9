"""A month of made-up visits, told in the shapes in which the connector is told of real ones, and a ledger of its own.

Meetings are told as Microsoft Graph's notifications, in JSON; pages and messages as the connector notes them. What a report
must say of a visit is worked out here from what was made up, never from the events.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from reports_parts import MadeCall, MadeMessage, made_call, made_message

from ehr_connector.reports.ports import BroughtBy, MessageStatus, VisitStatus
from ehr_connector.store.visits import VisitRow
from ehr_connector.teams.roster import CallEvent, events_of
from ehr_connector.visits.events import Channel, DeviceTestResult, Kind, VisitEvent

TENANT = "11111111-2222-3333-4444-555555555551"
ZONE = "America/Chicago"
DAYS = 30
DEPARTMENTS = ("cardiology", "dermatology", "family", "oncology", "paediatrics", "surgery")
ENDPOINTS = ("north", "south", "west")
_LENGTH = timedelta(minutes=30)
_OUTCOMES = {
    VisitStatus.COMPLETED: 780,
    VisitStatus.NO_SHOW_PATIENT: 80,
    VisitStatus.NO_SHOW_PROVIDER: 20,
    VisitStatus.NO_SHOW_BOTH: 30,
    VisitStatus.HALF_JOINED: 20,
    VisitStatus.TECHNICAL_FAILURE: 20,
    VisitStatus.CANCELLED: 30,
    VisitStatus.CANCELLED_LATE: 20,
}
_CHANNELS = {BroughtBy.SMS: 60, BroughtBy.EMAIL: 20, BroughtBy.COPY: 5, BroughtBy.EHR: 15}
_LOCATIONS = 20
_LAUNCHED = frozenset({VisitStatus.COMPLETED, VisitStatus.NO_SHOW_PATIENT, VisitStatus.HALF_JOINED})

Name = Callable[[str, str, str], str]
"""The keyed name of something: what it is, of which visit, and its text."""


@dataclass(frozen=True, slots=True)
class Made:
    """A visit, what is told of it, its message and its call."""

    row: VisitRow
    events: Sequence[VisitEvent]
    message: MadeMessage | None
    call: MadeCall | None
    launched: bool
    """Whether a clinician came to it from the EHR."""


@dataclass
class Ledger:
    """What reports must come to."""

    by_status: Counter[VisitStatus] = field(default_factory=Counter[VisitStatus])
    by_day: Counter[date] = field(default_factory=Counter[date])
    by_department: Counter[str] = field(default_factory=Counter[str])
    by_channel: Counter[BroughtBy] = field(default_factory=Counter[BroughtBy])
    duration_s: int = 0
    attendees: int = 0
    waits_s: list[int] = field(default_factory=list[int])
    messages_by_status: Counter[MessageStatus] = field(default_factory=Counter[MessageStatus])
    messages_by_day: Counter[date] = field(default_factory=Counter[date])
    calls: int = 0
    poor_calls: int = 0
    legs: int = 0
    launches: int = 0
    events: int = 0


class Month:
    """Makes visits up."""

    def __init__(self, visits: int, last: datetime, name: Name, seed: int = 7) -> None:
        self.ledger = Ledger()
        self._visits = visits
        self._last = last.astimezone(ZoneInfo(ZONE)).date()
        self._name = name
        self._random = Random(seed)

    def made(self) -> Iterator[Made]:
        """Give every visit, and note it in the ledger."""
        for number in range(self._visits):
            yield self._visit(number)

    def _visit(self, number: int) -> Made:
        random, ledger = self._random, self.ledger
        day = self._last - timedelta(days=random.randrange(DAYS))
        start = datetime(
            day.year, day.month, day.day, random.randrange(8, 18), 5 * random.randrange(12), tzinfo=ZoneInfo(ZONE)
        )
        status = random.choices(list(_OUTCOMES), list(_OUTCOMES.values()))[0]
        channel = random.choices(list(_CHANNELS), list(_CHANNELS.values()))[0]
        visit = self._name("visit", "", str(number))
        row = VisitRow(
            visit=visit,
            namespace="lamna",
            name="lamna",
            endpoint=random.choice(ENDPOINTS),
            environment="Production",
            profile_digest="sha256:" + "0" * 64,
            department=random.choice(DEPARTMENTS),
            kind="patient",
            starts_at=start,
            ends_at=start + _LENGTH,
            location=str(random.randrange(_LOCATIONS)),
        )
        play = _Play(visit, start, self._name, random)
        if channel is not BroughtBy.EHR:
            play.note(-36_000, Kind.LINK_SENT, Channel(channel.value).value)
        comes = self._played(play, status)
        ledger.by_status[status] += 1
        ledger.by_day[day] += 1
        ledger.by_department[row.department] += 1
        ledger.by_channel[channel if comes else BroughtBy.NONE] += 1
        ledger.duration_s += play.duration_s
        ledger.attendees += play.attendees
        ledger.waits_s += [] if play.wait_s is None else [play.wait_s]
        ledger.events += len(play.events)
        ledger.launches += status in _LAUNCHED
        return Made(
            row, play.shuffled(), self._message(row, channel), self._call(row, play, status), status in _LAUNCHED
        )

    def _played(self, play: _Play, status: VisitStatus) -> bool:
        """Let it happen; return whether the patient used the link."""
        random = self._random
        lobby = -random.randrange(60, 600)
        both = random.randrange(0, 420)
        match status:
            case VisitStatus.COMPLETED:
                play.patient_comes(lobby)
                play.clinician_comes(both - 1)
                play.roster(both, "patient", lobby=False)
                play.wait_s, play.attendees = both - lobby, 2
                end = both + random.randrange(180, 2400)
                if random.random() < 0.1:
                    play.roster(both + 60, "guest", lobby=False)
                    play.attendees = 3
                play.leaves(end - 5, "patient")
                play.leaves(end, "clinician")
                play.call_ends(end)
                play.duration_s = end - both
            case VisitStatus.NO_SHOW_PATIENT:
                play.clinician_comes(both)
                play.leaves(both + 600, "clinician")
                play.attendees = 1
            case VisitStatus.NO_SHOW_PROVIDER:
                play.patient_comes(lobby)
                play.leaves(1200, "patient")
                play.wait_s = 1200 - lobby
            case VisitStatus.HALF_JOINED:
                play.patient_comes(lobby)
                play.leaves(-10, "patient")
                play.clinician_comes(both)
                play.leaves(both + 600, "clinician")
                play.wait_s, play.attendees = -10 - lobby, 1
            case VisitStatus.TECHNICAL_FAILURE:
                play.note(lobby - 60, Kind.OPENED)
                play.note(lobby - 50, Kind.DEVICE_TEST, DeviceTestResult.NO_CONNECTION.value)
            case VisitStatus.CANCELLED:
                play.note(-48 * 3600, Kind.CANCELLED)
            case VisitStatus.CANCELLED_LATE:
                play.note(-3600, Kind.CANCELLED)
            case _:
                pass
        return status in {
            VisitStatus.COMPLETED,
            VisitStatus.NO_SHOW_PROVIDER,
            VisitStatus.HALF_JOINED,
            VisitStatus.TECHNICAL_FAILURE,
        }

    def _message(self, row: VisitRow, channel: BroughtBy) -> MadeMessage | None:
        if channel not in {BroughtBy.SMS, BroughtBy.EMAIL}:
            return None
        made = made_message(row, channel.value, self._name("send", row.visit, "reminder"), self._random)
        self.ledger.messages_by_status[made.status] += 1
        self.ledger.messages_by_day[made.sent_at.astimezone(ZoneInfo(ZONE)).date()] += 1
        return made

    def _call(self, row: VisitRow, play: _Play, status: VisitStatus) -> MadeCall | None:
        if status is not VisitStatus.COMPLETED:
            return None
        end = row.starts_at + timedelta(seconds=play.duration_s)
        made = made_call(row.visit, TENANT, row.starts_at, end, play.attendees, self._random)
        self.ledger.calls += 1
        self.ledger.poor_calls += made.is_poor
        self.ledger.legs += play.attendees
        return made


class _Play:
    """One visit's events, by seconds from its booked start."""

    def __init__(self, visit: str, start: datetime, name: Name, random: Random) -> None:
        self.events: list[VisitEvent] = []
        self.duration_s = 0
        self.wait_s: int | None = None
        self.attendees = 0
        self._visit = visit
        self._start = start
        self._name = name
        self._random = random

    def note(self, second: int, kind: Kind, code: str | None = None) -> None:
        at = self._start + timedelta(seconds=second)
        self.events.append(VisitEvent(f"{kind} {code or ''} {int(at.timestamp()) // 60}", kind, at, code))

    def patient_comes(self, lobby: int) -> None:
        self.note(lobby - 90, Kind.OPENED)
        self.note(lobby - 60, Kind.DEVICE_TEST, DeviceTestResult.PASSED.value)
        self.note(lobby - 10, Kind.JOINING)
        self.roster(lobby, "patient", lobby=True)

    def clinician_comes(self, second: int) -> None:
        self.note(second - 5, Kind.PROVIDER_JOINING)
        self.roster(second, "clinician", lobby=False)

    def roster(self, second: int, who: str, *, lobby: bool) -> None:
        self._told(second, "rosterUpdated", {"id": who, "info": _info(who), "isInLobby": lobby})

    def leaves(self, second: int, who: str) -> None:
        self._told(second, "rosterUpdated", {"id": who, "info": _info(who), "removedState": {"reason": "removed"}})

    def call_ends(self, second: int) -> None:
        self._told(second, "callEnded")

    def shuffled(self) -> Sequence[VisitEvent]:
        """Return the events as they may come: late, out of order, some twice."""
        again = [event for event in self.events if self._random.random() < 0.05]
        return self._random.sample([*self.events, *again], len(self.events) + len(again))

    def _told(self, second: int, kind: str, *participants: dict[str, Any]) -> None:
        """Have a notification of Graph's read as the connector reads it."""
        told = {
            "@odata.type": "#microsoft.graph.callEvent",
            "id": f"{self._visit} {second} {kind}",
            "eventType": kind,
            "eventDateTime": (self._start + timedelta(seconds=second)).isoformat(),
            "participants@delta": participants,
        }
        event = CallEvent.model_validate_json(json.dumps(told))
        self.events += events_of(event, TENANT, lambda what, text: self._name(what, self._visit, text))


def _info(who: str) -> dict[str, Any]:
    tenant = TENANT if who == "clinician" else None
    return {"identity": {"user": {"id": "u", "displayName": who, "tenantId": tenant}}}
