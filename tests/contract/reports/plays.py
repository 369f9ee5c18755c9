"""Visits as they are told to the log, each with what a report must say of it, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from contract.store.conftest import Clock
from sqlalchemy.ext.asyncio import AsyncEngine
from unit.connector.visiting import site

from ehr_connector.directory import Site
from ehr_connector.reports.ports import BroughtBy, ConsumptionRow, Filters, Reader, ReportRole, VisitStatus
from ehr_connector.reports.queries import Queries
from ehr_connector.reports.refresh import Refresher
from ehr_connector.store.events import Events
from ehr_connector.store.report_rows import ReportRows
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.visits.events import Channel, DeviceTestResult, Kind, Side, VisitEvent

LENGTH = timedelta(minutes=30)


@dataclass(frozen=True)
class Play:
    """What happens, by minutes from the booked start, and what comes of it when it is over."""

    acts: Sequence[tuple[float, Kind, str | None, str | None]]
    status: VisitStatus
    duration_s: int = 0
    lobby_wait_s: int | None = None
    attendees: int = 0
    brought_by: BroughtBy = BroughtBy.NONE

    def events(self, start: datetime) -> list[VisitEvent]:
        """Return the events of a visit that is booked for `start`."""
        return [
            VisitEvent(f"{number}", kind, start + timedelta(minutes=minute), code, who)
            for number, (minute, kind, code, who) in enumerate(self.acts)
        ]


_SMS = (-600.0, Kind.LINK_SENT, Channel.SMS.value, None)
_PATIENT_COMES = (
    (-6.0, Kind.OPENED, None, None),
    (-5.5, Kind.DEVICE_TEST, DeviceTestResult.PASSED.value, None),
    (-5.0, Kind.JOINING, None, None),
    (-4.0, Kind.IN_LOBBY, None, "p"),
)
_DOCTOR_COMES = ((0.0, Kind.PROVIDER_JOINING, None, None), (1.0, Kind.IN_VISIT, Side.PROVIDER.value, "d"))
PLAYS: Mapping[str, Play] = {
    "whole": Play(
        (
            _SMS,
            *_PATIENT_COMES,
            *_DOCTOR_COMES,
            (2.0, Kind.IN_VISIT, Side.PATIENT.value, "p"),
            (20.0, Kind.LEFT, None, "p"),
            (21.0, Kind.LEFT, None, "d"),
            (21.0, Kind.CALL_ENDED, None, None),
        ),
        VisitStatus.COMPLETED,
        duration_s=19 * 60,
        lobby_wait_s=6 * 60,
        attendees=2,
        brought_by=BroughtBy.SMS,
    ),
    "from the EHR": Play(
        (
            *_PATIENT_COMES,
            *_DOCTOR_COMES,
            (1.5, Kind.IN_VISIT, Side.PATIENT.value, "p"),
            (3.0, Kind.IN_VISIT, Side.PATIENT.value, "guest"),
            (11.5, Kind.CALL_ENDED, None, None),
        ),
        VisitStatus.COMPLETED,
        duration_s=10 * 60,
        lobby_wait_s=330,
        attendees=3,
        brought_by=BroughtBy.EHR,
    ),
    "no patient": Play((_SMS, *_DOCTOR_COMES, (16.0, Kind.LEFT, None, "d")), VisitStatus.NO_SHOW_PATIENT, attendees=1),
    "no clinician": Play(
        (_SMS, *_PATIENT_COMES, (16.0, Kind.LEFT, None, "p")),
        VisitStatus.NO_SHOW_PROVIDER,
        lobby_wait_s=20 * 60,
        brought_by=BroughtBy.SMS,
    ),
    "nobody": Play((_SMS,), VisitStatus.NO_SHOW_BOTH),
    "missed each other": Play(
        (*_PATIENT_COMES, (0.5, Kind.LEFT, None, "p"), *_DOCTOR_COMES, (9.0, Kind.LEFT, None, "d")),
        VisitStatus.HALF_JOINED,
        lobby_wait_s=270,
        attendees=1,
        brought_by=BroughtBy.EHR,
    ),
    "no way in": Play(
        (_SMS, *_PATIENT_COMES[:3], *_DOCTOR_COMES, (9.0, Kind.LEFT, None, "d")),
        VisitStatus.TECHNICAL_FAILURE,
        attendees=1,
        brought_by=BroughtBy.SMS,
    ),
    "cancelled": Play((_SMS, (-3000.0, Kind.CANCELLED, None, None)), VisitStatus.CANCELLED),
    "cancelled late": Play((_SMS, (-60.0, Kind.CANCELLED, None, None)), VisitStatus.CANCELLED_LATE),
    "nobody, tidied up": Play((_SMS, (90.0, Kind.CANCELLED, None, None)), VisitStatus.NO_SHOW_BOTH),
    "whole, tidied up": Play(
        (
            *_PATIENT_COMES,
            *_DOCTOR_COMES,
            (1.5, Kind.IN_VISIT, Side.PATIENT.value, "p"),
            (6.5, Kind.CALL_ENDED, None, None),
            (90.0, Kind.CANCELLED, None, None),
        ),
        VisitStatus.COMPLETED,
        duration_s=5 * 60,
        lobby_wait_s=330,
        attendees=2,
        brought_by=BroughtBy.EHR,
    ),
}


@dataclass
class Theatre:
    """One organisation's visits, played into the database."""

    engine: AsyncEngine
    clock: Clock
    namespace: str = "lamna"
    zone: str = "UTC"
    zones: dict[str, str] = field(default_factory=dict[str, str])
    """Of endpoints in another one."""
    played: dict[str, tuple[VisitRow, Play]] = field(default_factory=dict[str, tuple[VisitRow, Play]])
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def events(self) -> Events:
        """The log."""
        return Events(self.engine, self.clock)

    @property
    def refresher(self) -> Refresher:
        """The worker's part."""
        return Refresher(ReportRows(self.engine, self.clock), self)

    @property
    def queries(self) -> Queries:
        """What is asked."""
        return Queries(self.engine)

    @property
    def reader(self) -> Reader:
        """Somebody who may see all of it."""
        return Reader(self.namespace, "organization", frozenset(ReportRole))

    @property
    def always(self) -> Filters:
        """All that there is."""
        return Filters(self.clock() - timedelta(days=400), self.clock() + timedelta(days=400))

    async def by_name(self, namespace: str, endpoint: str) -> Site | None:
        """Return where an endpoint is."""
        where = {
            "locations": ["1"],
            "virtualVisitTypes": ["Video Visit"],
            "timeZone": self.zones.get(endpoint, self.zone),
        }
        return site(appointments=where) if namespace == self.namespace and endpoint in {"north", *self.zones} else None

    async def book(self, play: str = "nobody", start: datetime | None = None, **fields: str) -> VisitRow:
        """Write down a visit to which this is going to happen."""
        row = self._booked(play, start or self.clock(), **fields)
        await Visits(self.engine, self.clock).put(row)
        return row

    async def book_many(self, starts: Iterable[datetime]) -> None:
        """Write down visits to which nobody comes, at one go."""
        visits = Visits(self.engine, self.clock)
        async with self.engine.begin() as connection:
            for start in starts:
                await visits.put_in(connection, self._booked("nobody", start))

    def _booked(self, play: str, start: datetime, **fields: str) -> VisitRow:
        usual = VisitRow(
            visit=f"{self.namespace} {next(self._numbers)}",
            namespace=self.namespace,
            name="organization",
            endpoint="north",
            environment="Production",
            profile_digest="sha256:" + "0" * 64,
            department="cardiology",
            kind="patient",
            starts_at=start,
            ends_at=start + LENGTH,
        )
        row = replace(usual, **fields)
        self.played[row.visit] = (row, PLAYS[play])
        return row

    async def play(self, play: str, start: datetime | None = None, **fields: str) -> VisitRow:
        """Book a visit and let all of it happen."""
        row = await self.book(play, start, **fields)
        await self.events.record(row.visit, PLAYS[play].events(row.starts_at))
        return row

    async def move(self, row: VisitRow, start: datetime) -> VisitRow:
        """Give a visit another time: it is played there."""
        moved = replace(row, starts_at=start, ends_at=start + LENGTH)
        await Visits(self.engine, self.clock).put(moved)
        self.played[row.visit] = (moved, self.played[row.visit][1])
        return moved

    async def rows(self, filters: Filters | None = None) -> list[ConsumptionRow]:
        """Return the rows that are there."""
        return [row async for row in self.queries.visits(self.reader, filters or self.always)]
