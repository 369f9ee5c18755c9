"""Who is booked with whom, where and when: the part of the population that is the same at every tenant.

Sixteen practitioners see patients in clinic hours; four do video visits around the clock at the first clinic, so that
at any time of day a video visit is near.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Literal

from ehr_sandbox.cerner.dice import dice
from ehr_sandbox.cerner.people import PATIENT_IDS, PRACTITIONER_IDS, is_merged
from ehr_sandbox.cerner.places import CLINICS

APPOINTMENTS = 2000
VIDEO_VISIT = "Video Visit"
_SERVICES = (VIDEO_VISIT, "Office Visit", "Follow Up", "Same Day")
_SERVICE_WEIGHTS = (55, 25, 12, 8)
_FIRST_ID = 4817000
_DAYS_BEFORE = 10
_DAYS_AFTER = 21
_AROUND_THE_CLOCK = 4
_AROUND_THE_CLOCK_SHARE = 0.35
_SLOT_MINUTES = 30
_SHARE_LINKED = 0.05
_UNLINKED_EVERY = 5
"""Of so many encounters one does not name its appointment."""
_CLINIC_SLOTS = range(26, 46)
"""From 13:00 to 23:00 UTC: the day in the Central time zone."""
_ALL_SLOTS = range(48)

_STATUS_BEFORE = {"fulfilled": 82, "cancelled": 9, "noshow": 9}
_STATUS_TODAY = {"booked": 86, "checked-in": 4, "arrived": 4, "cancelled": 6}
_STATUS_AFTER = {"booked": 88, "cancelled": 6, "proposed": 6}


def instant(moment: datetime) -> str:
    """Return a moment as Millennium writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


@dataclass(frozen=True, slots=True)
class Links:
    """What is written into a video visit: where each side goes, and from when until when."""

    provider: str
    patient: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Booking:
    """One appointment, by ids."""

    id: str
    status: str
    service: str
    requested: tuple[datetime, datetime]
    """For a proposed one the span in which the patient asks for it, otherwise its own."""
    patient_id: str
    practitioner_id: str
    location_id: str
    encounter: Literal["linked", "unlinked", "none"] = "linked"
    """Whether its encounter names it; a proposed one has no encounter, whatever this says."""
    links: Links | None = None
    """In a new population, a few video visits have those of another product."""
    changes: int = 3
    """The version, without the writes of links."""
    link_writes: int = 0
    changed: datetime | None = None
    """When it changed last, since the program began."""

    @property
    def version(self) -> str:
        """The version: a video visit has a second number, which counts the writes of its links."""
        return f"{self.changes}-{self.link_writes}" if self.service == VIDEO_VISIT else str(self.changes)

    @property
    def last_updated(self) -> datetime:
        """When it changed last; before it began, whatever its state is."""
        return self.changed or self.requested[0].replace(year=self.requested[0].year - 1, day=1, minute=7)

    @property
    def start(self) -> datetime | None:
        """When it begins; one that is only proposed has no time yet."""
        return None if self.status == "proposed" else self.requested[0]

    @property
    def end(self) -> datetime | None:
        """When it ends."""
        return None if self.status == "proposed" else self.requested[1]


def make_bookings(seed: int, today: date) -> dict[str, Booking]:
    """Return the appointments by id; no practitioner has two at a time. They depend on nothing but seed and day."""
    chance = dice(seed, today.isoformat())
    days = range(-_DAYS_BEFORE, _DAYS_AFTER + 1)
    around_the_clock = round(APPOINTMENTS * _AROUND_THE_CLOCK_SHARE)
    places_in_time = [
        *chance.sample(
            [(d, p, s) for d in days for p in range(_AROUND_THE_CLOCK) for s in _ALL_SLOTS], around_the_clock
        ),
        *chance.sample(
            [(d, p, s) for d in days for p in range(_AROUND_THE_CLOCK, len(PRACTITIONER_IDS)) for s in _CLINIC_SLOTS],
            APPOINTMENTS - around_the_clock,
        ),
    ]
    chance.shuffle(places_in_time)
    patients = [id_ for id_ in PATIENT_IDS if not is_merged(id_)]
    made = (
        _booking(chance, str(_FIRST_ID + number), today, place, chance.choice(patients))
        for number, place in enumerate(places_in_time)
    )
    return {booking.id: booking for booking in made}


def status_counts(bookings: dict[str, Booking]) -> dict[str, int]:
    """Count appointments by status."""
    return dict(sorted(Counter(booking.status for booking in bookings.values()).items()))


def _booking(chance: Random, id_: str, today: date, place: tuple[int, int, int], patient_id: str) -> Booking:
    day, practitioner, slot = place
    always_open = practitioner < _AROUND_THE_CLOCK
    weights = _STATUS_BEFORE if day < 0 else _STATUS_TODAY if day == 0 else _STATUS_AFTER
    status = chance.choices(tuple(weights), tuple(weights.values()))[0]
    service = VIDEO_VISIT if always_open else chance.choices(_SERVICES, _SERVICE_WEIGHTS)[0]
    start = datetime.combine(today, time(), UTC) + timedelta(days=day, minutes=slot * _SLOT_MINUTES)
    length = timedelta(days=2) if status == "proposed" else timedelta(minutes=chance.choice((15, 20, 30)))
    linked = service == VIDEO_VISIT and status not in {"proposed", "cancelled"} and chance.random() < _SHARE_LINKED
    return Booking(
        id=id_,
        status=status,
        service=service,
        requested=(start, start + length),
        patient_id=patient_id,
        practitioner_id=PRACTITIONER_IDS[practitioner],
        location_id=CLINICS[0] if always_open else CLINICS[practitioner % len(CLINICS)],
        encounter="linked" if int(id_) % _UNLINKED_EVERY else "unlinked",
        links=_links_of_another_product(id_, start, start + length) if linked else None,
        link_writes=int(linked),
    )


def _links_of_another_product(id_: str, start: datetime, end: datetime) -> Links:
    rooms = "https://rooms.example"
    return Links(f"{rooms}/provider/{id_}", f"{rooms}/patient/{id_}", instant(start), instant(end))
