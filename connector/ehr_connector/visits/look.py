"""What a page behind a link shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_connector.directory import Site
from ehr_connector.visits.booking import Access
from ehr_connector.visits.links import Role


class JoinRefusedError(Exception):
    """The link opens nothing now; the look says why."""

    def __init__(self, look: Look) -> None:
        super().__init__(look.access)
        self.look = look


class TooOftenError(Exception):
    """The link was used too often in the last minutes."""

    def __init__(self, look: Look, wait: timedelta) -> None:
        super().__init__(wait)
        self.look = look
        self.minutes = max(1, round(wait.total_seconds() / 60))


@dataclass(frozen=True, slots=True)
class Look:
    """What the page behind a link shows. It names no person."""

    access: Access
    role: Role
    organization_name: str
    department: str | None = None
    start: datetime | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    time_zone: str = "UTC"
    help_phone: str | None = None
    emergency_notice: str | None = None
    moved: bool = False
    visit: str | None = None


def bare(site: Site, seen: Access, role: Role) -> Look:
    """Return what can be shown without the appointment: whose page it is, and whom to call."""
    visits = site.organization.visits
    return Look(
        access=seen,
        role=role,
        organization_name=site.organization.display_name,
        time_zone=site.endpoint.appointments.time_zone,
        help_phone=visits.help_phone if visits else None,
        emergency_notice=visits.emergency_notice if visits else None,
    )
