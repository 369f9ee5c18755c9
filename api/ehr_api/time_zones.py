"""The time zones that a spec may name: the IANA database as the tzdata package ships it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def time_zone_names() -> tuple[str, ...]:
    """Return all IANA zone names, sorted. The package is read, not the machine's own database, to be the same everywhere."""
    return tuple(sorted(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()))
