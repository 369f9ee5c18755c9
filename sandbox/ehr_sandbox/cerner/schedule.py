"""The appointments of each tenant: those of the population, as changed since the program began, and those booked since."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ehr_sandbox.cerner.bookings import Booking

_FIRST_BOOKED = 5200000


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of an appointment."""

    version: str
    at: datetime
    by: str
    """The client that wrote it, or `control`."""
    change: dict[str, Any]
    """The fields that are new; of links both."""


class Schedule:
    """What is booked. A tenant costs memory only for what changed at it."""

    def __init__(self, base: Mapping[str, Booking], now: Callable[[], datetime]) -> None:
        self._base = base
        self._now = now
        self._changed: dict[str, dict[str, Booking]] = {}
        self._history: dict[tuple[str, str], list[Revision]] = {}
        self._next_id = _FIRST_BOOKED
        self.locked: set[tuple[str, str]] = set()
        """Tenant and id of the appointments that somebody is editing."""
        self.failing: set[tuple[str, str]] = set()
        """Tenant and id of the appointments in which nothing can be written, since something behind them fails."""

    def get(self, tenant: str, id_: str) -> Booking | None:
        """Return an appointment as it is now."""
        return self._changed.get(tenant, {}).get(id_) or self._base.get(id_)

    def all(self, tenant: str) -> Iterable[Booking]:
        """Return all appointments of a tenant."""
        changed = self._changed.get(tenant)
        return self._base.values() if not changed else {**self._base, **changed}.values()

    def history(self, tenant: str, id_: str) -> list[Revision]:
        """Return the versions since the program began, oldest first."""
        return self._history.get((tenant, id_), [])

    def tenants_of(self, id_: str) -> list[str]:
        """Return the tenants at which an appointment was booked or changed since the program began."""
        return [tenant for tenant, changed in self._changed.items() if id_ in changed]

    def tenants(self) -> list[str]:
        """Return the tenants at which anything was booked or changed."""
        return list(self._changed)

    def change(self, tenant: str, id_: str, by: str, **fields: Any) -> Booking:
        """Make a new version; links raise the version's second number, all else the first.

        Raises:
            KeyError: There is no such appointment.
        """
        booking = self.get(tenant, id_)
        if booking is None:
            raise KeyError(id_)
        if set(fields) == {"links"}:
            fields["link_writes"] = booking.link_writes + 1
        else:
            fields["changes"] = booking.changes + 1
        return self._keep(tenant, dataclasses.replace(booking, changed=self._now(), **fields), by, fields)

    def book(self, tenant: str, by: str, **fields: Any) -> Booking:
        """Book a new appointment, under an id that no tenant has yet."""
        self._next_id += 1
        booking = Booking(id=str(self._next_id), changes=0, changed=self._now(), **fields)
        return self._keep(tenant, booking, by, fields)

    def _keep(self, tenant: str, booking: Booking, by: str, fields: Mapping[str, Any]) -> Booking:
        self._changed.setdefault(tenant, {})[booking.id] = booking
        shown = {name: value for name, value in fields.items() if name not in {"changes", "link_writes"}}
        revision = Revision(booking.version, self._now(), by, shown)
        self._history.setdefault((tenant, booking.id), []).append(revision)
        return booking
