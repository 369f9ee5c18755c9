"""Keeps reports for as long as each organisation's configuration says, and no longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import OrganizationConfiguration
from ehr_api.duration import seconds

_log = logging.getLogger(__name__)

VISITS = timedelta(hours=9600)
AUDIT = timedelta(hours=52560)
"""What holds where an organisation says nothing, or is configured no more."""
_LEAST = timedelta(days=2)
"""Visits that go on, or whose last events are awaited, are kept whatever the configuration says."""
_NOBODY = ("", "")
"""Whose rows of the audit log are of no organisation: they are kept for as long as the one that keeps its own longest."""
_EVERY_S = 6 * 3600.0
_BREATH_S = 0.05
"""Between two transactions, for others to write."""


class Visits(Protocol):
    """What is removed (`ehr_connector.store.expiry`)."""

    async def organizations(self) -> Sequence[tuple[str, str]]:
        """Return the organisations that have visits or messages."""
        ...

    async def remove_some(self, namespace: str, name: str, before: datetime, /) -> int:
        """Remove some visits, and return how many."""
        ...

    async def remove_sends(self, namespace: str, name: str, before: datetime, /) -> None:
        """Remove messages without visits."""
        ...


class AuditLog(Protocol):
    """The audit log (`ehr_connector.audit_expiry`)."""

    async def expire(self, kept: Callable[[str, str], timedelta], /) -> int:
        """Remove the oldest rows, none of which is to be kept any more, and return how many."""
        ...


class Organizations(Protocol):
    """Configurations (`ehr_connector.directory`)."""

    async def organization(self, namespace: str, name: str, /) -> OrganizationConfiguration | None:
        """Return the configuration of an organisation."""
        ...

    async def organizations(self) -> Sequence[OrganizationConfiguration]:
        """Return every organisation."""
        ...


class Retention:
    """The worker's part."""

    def __init__(
        self, visits: Visits, audit: AuditLog, organizations: Organizations, now: Callable[[], datetime]
    ) -> None:
        self._visits = visits
        self._audit = audit
        self._organizations = organizations
        self._now = now

    async def run(self) -> None:
        """Tidy now and then, until cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(_EVERY_S)

    async def tidy(self) -> int:
        """Remove all that has been kept for long enough; return how many visits and rows of the audit log that was."""
        removed = 0
        try:
            for namespace, name in await self._visits.organizations():
                kept = visits_kept(await self._organizations.organization(namespace, name))
                before = self._now() - kept
                while some := await self._visits.remove_some(namespace, name, before):
                    removed += some
                    await asyncio.sleep(_BREATH_S)
                await self._visits.remove_sends(namespace, name, before)
            known = {(one.namespace, one.name): audit_kept(one) for one in await self._organizations.organizations()}
            known[_NOBODY] = max(known.values(), default=AUDIT)
            removed += await self._audit.expire(lambda namespace, name: known.get((namespace, name), AUDIT))
        except (SQLAlchemyError, OSError) as exc:
            _log.warning("reports are kept for longer, the database does not answer: %s", type(exc).__name__)
        if removed:
            _log.info("removed %d visits and rows of the audit log that were kept for long enough", removed)
        return removed


def visits_kept(organization: OrganizationConfiguration | None) -> timedelta:
    """Return how long an organisation's visits are kept after their booked time."""
    retention = organization.reports.retention if organization and organization.reports else None
    asked = retention.visits if retention else None
    return max(timedelta(seconds=seconds(asked)), _LEAST) if asked else VISITS


def audit_kept(organization: OrganizationConfiguration) -> timedelta:
    """Return how long an organisation's rows of the audit log are kept."""
    retention = organization.reports.retention if organization.reports else None
    return timedelta(seconds=seconds(retention.audit)) if retention and retention.audit else AUDIT
