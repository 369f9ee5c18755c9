"""Quiet hours: when a text may go out by the clocks of every zone in which its recipient may be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from ehr_api.v1alpha1.messages import QuietHours

QUIET_START, QUIET_END = "21:00", "08:00"
"""What holds where the organisation says nothing."""
_MINUTE, _TICK = timedelta(minutes=1), timedelta(microseconds=1)


def is_quiet(now: datetime, zone: str, hours: QuietHours | None) -> bool:
    """Return whether it is in the quiet hours on the clocks of a zone; they may go over midnight."""
    start, end = _clocks(hours)
    at = now.astimezone(ZoneInfo(zone)).time()
    if start <= end:
        return start <= at < end
    return at >= start or at < end


def is_quiet_somewhere(now: datetime, zones: Sequence[str], hours: QuietHours | None) -> bool:
    """Return whether it is in the quiet hours in one of the zones."""
    return any(is_quiet(now, zone, hours) for zone in zones)


def allowed_from(now: datetime, zones: Sequence[str], hours: QuietHours | None, latest: datetime) -> datetime:
    """Return the first moment that is quiet in none of the zones, or `latest` when that comes before."""
    at = now
    while at < latest:
        ends = [end_of_quiet(at, zone, hours) for zone in zones if is_quiet(at, zone, hours)]
        if not ends:
            return at
        at = max(ends)
    return max(latest, now)


def end_of_quiet(at: datetime, zone: str, hours: QuietHours | None) -> datetime:
    """Return the end of the quiet hours in which `at` is."""
    return next(one for one in _edges(at, zone, hours) if one > at and not is_quiet(one, zone, hours))


def start_of_quiet(at: datetime, zone: str, hours: QuietHours | None) -> datetime:
    """Return the beginning of the quiet hours in which `at` is."""
    edges = reversed(_edges(at, zone, hours))
    return next(one for one in edges if one <= at and not is_quiet(one - _TICK, zone, hours))


def _edges(at: datetime, zone: str, hours: QuietHours | None) -> Sequence[datetime]:
    """Return the moments around `at` at which quiet hours may begin or end: by the clock, or as the clocks change."""
    here = ZoneInfo(zone)
    days = [at.astimezone(here).date() + timedelta(days=days) for days in range(-2, 3)]
    # In the hour that the clocks go through twice there are two of a time.
    clocks = {
        datetime.combine(day, clock, here).replace(fold=fold).astimezone(at.tzinfo)
        for day in days
        for clock in _clocks(hours)
        for fold in (0, 1)
    }
    edges = sorted(clocks)
    changed = _change_between(edges[0], edges[-1], here)
    return edges if changed is None else sorted({*edges, changed})


def _change_between(low: datetime, high: datetime, here: ZoneInfo) -> datetime | None:
    """Return when the clocks of a zone change in these days, or None: to the minute, which is how zones do it."""
    before = low.astimezone(here).utcoffset()
    if high.astimezone(here).utcoffset() == before:
        return None
    low, high = low.replace(second=0, microsecond=0), high.replace(second=0, microsecond=0)
    while high - low > _MINUTE:
        middle = low + (high - low) // _MINUTE // 2 * _MINUTE
        if middle.astimezone(here).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _clocks(hours: QuietHours | None) -> tuple[time, time]:
    return (
        time.fromisoformat(hours.start if hours else QUIET_START),
        time.fromisoformat(hours.end if hours else QUIET_END),
    )
