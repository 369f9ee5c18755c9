"""The visits of one endpoint that are in memory, as they were read from the EHR; nothing of them is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ehr_connector.directory import Site
from ehr_connector.notify.planner.plan import FORGIVEN
from ehr_connector.visits.booking import Booking, booking


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What was read: all that begins before `until`, or some that lies behind what is kept in memory."""

    bookings: Mapping[str, Booking]
    until: datetime
    is_far: bool


class VisitsInMemory:
    """The visits, and what was read and is not settled yet."""

    def __init__(self, site: Site) -> None:
        self.site = site
        """The configuration that holds now."""
        self._bookings: Mapping[str, Booking] = {}
        self._far: dict[str, Booking] = {}
        """Visits beyond those that are kept in memory, while a message of theirs is due."""
        self._new: dict[str, datetime] = {}
        """When visits were first seen that were booked just then."""
        self._reads: list[Read] = []

    def read(self, read: Read) -> None:
        """Take what was read; what was read of the same before tells nothing any more."""
        if not read.is_far:
            self._reads = [one for one in self._reads if one.is_far]
            self._bookings = read.bookings
        self._reads.append(read)

    def unsettled(self) -> Read | None:
        """Return what was read first of what is not settled."""
        return self._reads[0] if self._reads else None

    def settled(self, read: Read) -> None:
        """Forget a reading, and the visits that are not kept any more."""
        self._reads = [one for one in self._reads if one is not read]
        kept = self.kept()
        self._new = {visit: at for visit, at in self._new.items() if visit in kept}

    def kept(self) -> set[str]:
        """Return the visits that are in memory."""
        return self._bookings.keys() | self._far.keys() | {visit for one in self._reads for visit in one.bookings}

    def find(self, visit: str) -> Booking | None:
        """Return a visit as it is by the configuration of now, under which it was perhaps not read."""
        found = self._bookings.get(visit) or self._far.get(visit)
        return found if found is None or found.site is self.site else booking(self.site, found.appointment)

    def keep_far(self, visit: str, found: Booking) -> None:
        """Keep a visit in weeks in memory, since a message of it is due."""
        self._far[visit] = found

    def drop_far(self, visit: str) -> None:
        """Keep it no more."""
        self._far.pop(visit, None)

    def see_new(self, visit: str, now: datetime) -> None:
        """Note that a visit was booked just now."""
        self._new.setdefault(visit, now)

    def is_new(self, visit: str, now: datetime) -> bool:
        """Return whether its booking is still news."""
        since = self._new.get(visit)
        return since is not None and now - since <= FORGIVEN
