"""The days of a time zone, for databases that know no zones. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_A_DAY = timedelta(days=1)
_A_SECOND = timedelta(seconds=1)


def offsets_of(zone: str, start: datetime, end: datetime) -> Sequence[tuple[datetime, timedelta]]:
    """Return by how much a zone's clocks differ from UTC between two moments: from when on, in order, the first from `start` on."""
    here = ZoneInfo(zone)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(here).utcoffset() or timedelta()

    at, end = start.astimezone(UTC), end.astimezone(UTC)
    found = [(at, offset(at))]
    while at < end:
        later = min(at + _A_DAY, end)
        if offset(later) != found[-1][1]:
            before, after = at, later
            while after - before > _A_SECOND:
                middle = before + (after - before) / 2
                before, after = (middle, after) if offset(middle) == found[-1][1] else (before, middle)
            # Clocks are changed at a whole second.
            found.append((after.replace(microsecond=0), offset(later)))
        at = later
    return found
