"""When the connector last saw a launch by each record: told once for an organisation, read by each record's reconcile."""

from __future__ import annotations

from datetime import datetime, timedelta

from ehr_api.control import Evidence
from ehr_operator.runtime.model import Key
from ehr_operator.views import RECORD

SIGHTING_STEP = timedelta(hours=1)
"""A record in daily use is written again this often at most: the day of the last launch matters, the minute does not."""


class Sightings:
    """What the connectors have seen; after a restart they are asked again."""

    def __init__(self) -> None:
        self._seen: dict[Key, datetime] = {}

    def last_seen(self, record: Key) -> datetime | None:
        """Return the last launch by a record, if one was told of."""
        return self._seen.get(record)

    def told(self, namespace: str, evidence: Evidence) -> tuple[Key, ...]:
        """Take in what a connector has seen of an organisation; return the records for which that is news."""
        news: list[Key] = []
        for one in evidence.records:
            key = Key(RECORD, namespace, one.record)
            known = self._seen.get(key)
            if known is None or one.last_seen_launch - known >= SIGHTING_STEP:
                self._seen[key] = one.last_seen_launch.replace(microsecond=0)
                news.append(key)
        return tuple(news)
