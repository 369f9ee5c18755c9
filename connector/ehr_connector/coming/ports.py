"""What the worker needs of others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from ehr_clients.fhir import Fhir
from ehr_connector.directory import Site
from ehr_connector.store.events import Told
from ehr_connector.store.visits import VisitRow
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import VisitEvent
from ehr_connector.visits.links import Role

_Found = TypeVar("_Found")


class Sites(Protocol):
    """Which endpoints there are (`ehr_connector.directory`)."""

    async def sites(self) -> Sequence[Site]:
        """Return every site."""
        ...


class Ehr(Protocol):
    """EHRs (`ehr_connector.ehr.access`)."""

    async def call(self, site: Site, ask: Callable[[Fhir], Awaitable[_Found]], /) -> _Found:
        """Return what `ask` gives with a system token."""
        ...


class VisitBook(Protocol):
    """Visits by name, and their links (`ehr_connector.visits.service`)."""

    def name(self, site: Site, appointment_id: str, /) -> str:
        """Return the name that a visit has everywhere outside memory."""
        ...

    def row(self, found: Booking, /) -> VisitRow:
        """Return a booking as it is written down."""
        ...

    def link(self, found: Booking, role: Role, /) -> str:
        """Return the address of a link of a visit."""
        ...

    async def record(self, found: Booking, /) -> VisitRow:
        """Write down that there is this visit, and that it was moved when it was."""
        ...


class EventLog(Protocol):
    """What happened in visits (`ehr_connector.store.events`)."""

    async def record(self, visit: str, events: Iterable[VisitEvent], /) -> Sequence[VisitEvent]:
        """Add those events that are not there yet, and return them."""
        ...

    async def of(self, visit: str, /) -> Sequence[VisitEvent]:
        """Return the events of a visit."""
        ...

    async def newest(self) -> int:
        """Return the number of the newest event."""
        ...

    async def since(self, number: int, /) -> Sequence[Told]:
        """Return what was told after `number`, and shortly before."""
        ...


class EndpointMessages(Protocol):
    """The messages of one endpoint (`ehr_connector.notify.planner.worker`)."""

    def reconfigured(self, site: Site, /) -> None:
        """Go by another configuration from now on."""
        ...

    def read(self, bookings: Mapping[str, Booking], until: datetime, /, *, far: bool = False) -> None:
        """Take the visits that were read: all that begin before `until`; or, with `far`, some that lie behind those."""
        ...

    def are_wanted(self) -> bool:
        """Return whether the organisation wants any."""
        ...

    def held(self) -> Mapping[str, int]:
        """Return how many messages wait, by reason."""
        ...

    def oldest_due_s(self) -> float:
        """Return for how long the oldest message is due that could go out."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...
