"""Whose device test is opened: the integration record that the address names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ehr_connector.directory import Directory, Site
from ehr_connector.store.evidence import EvidenceBook

_SUFFIX = "-device-test"
_SEEN_AGAIN = timedelta(minutes=1)
"""Anybody can open the address: within this time it is written once."""


class DeviceTestRecords:
    """Knows the device-test records by the `namespace/name` that their addresses carry."""

    def __init__(self, directory: Directory, evidence: EvidenceBook, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._evidence = evidence
        self._now = now
        self._written: dict[tuple[str, str], datetime] = {}

    async def site(self, record: str) -> Site | None:
        """Return to whom a record belongs; None for one that is no device-test record of ours."""
        namespace, _, name = record.partition("/")
        if not name.endswith(_SUFFIX):
            return None
        return await self._directory.by_name(namespace, name.removesuffix(_SUFFIX))

    async def seen(self, site: Site) -> None:
        """Note that the address of a site's record was opened."""
        record, now = f"{site.endpoint.name}{_SUFFIX}", self._now()
        written = self._written.get((site.namespace, record))
        if written is not None and now - written < _SEEN_AGAIN:
            return
        await self._evidence.record_seen(site.namespace, site.organization_name, record)
        self._written[site.namespace, record] = now
