"""The parameters of a search, read as Millennium reads them.

Parameters that a resource does not support are ignored and left out of the `self` link, as FHIR's lenient handling has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ehr_sandbox.cerner.errors import FhirError, invalid

NO_PARAMETERS = FhirError(400, "required", "No supported search parameters provided")
_MAX_COUNT = 100
"""A larger `_count` gives pages of this size; Millennium's own limit is not published."""

_TIME = re.compile(
    r"(?P<prefix>[a-z]{2})?"
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:T(?P<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(?P<offset>Z|[+-]\d{2}:\d{2})?)?"
)
_PREFIXES = ("ge", "gt", "le", "lt")


@dataclass(frozen=True, slots=True)
class DateRange:
    """The bounds of a search by time; either may be open."""

    low: datetime | None = None
    high: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment is within the bounds."""
        return (self.low is None or self.low <= moment) and (self.high is None or moment <= self.high)


class Query:
    """The supported parameters of one request."""

    def __init__(self, items: Iterable[tuple[str, str]], supported: Iterable[str]) -> None:
        """Keep what is supported, and refuse the request when nothing is."""
        names = frozenset(supported)
        self.items: Sequence[tuple[str, str]] = [(name, value) for name, value in items if name in names]
        if not any(name != "_count" for name, _ in self.items):
            raise NO_PARAMETERS

    def all(self, name: str) -> list[str]:
        """Return a parameter's values, one for each time that it is given."""
        return [value for key, value in self.items if key == name]

    def once(self, name: str) -> str | None:
        """Return the value of a parameter that may be given once."""
        values = self.all(name)
        if len(values) > 1:
            raise invalid(f"Parameter '{name}' may be provided only once")
        if values and not values[0].strip():
            raise invalid(f"Parameter '{name}' must have a value")
        return values[0] if values else None

    def listed(self, name: str) -> list[str] | None:
        """Return the members of a comma separated list."""
        value = self.once(name)
        return None if value is None else [part.strip() for part in value.split(",") if part.strip()]

    def references(self, name: str, kind: str) -> list[str] | None:
        """Return the ids in a list of references, each `id` or `Type/id`."""
        parts = self.listed(name)
        if parts is None:
            return None
        ids = [part.removeprefix(f"{kind}/") for part in parts]
        for id_ in ids:
            if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", id_):
                raise invalid(f"Parameter '{name}' must hold references to {kind}, not '{id_}'")
        return ids

    def count(self, default: int) -> int:
        """Return how many results a page has."""
        value = self.once("_count")
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
            raise invalid("Parameter '_count' must be a positive number")
        return min(int(value), _MAX_COUNT)

    def time_range(self, name: str) -> DateRange | None:
        """Return the bounds: given once with a prefix, or twice with `ge` and `lt` as a closed range; always with a time.

        Source: Cerner's R4 page "Appointment", "Parameters", notes.
        """
        bounds = [self._bound(name, value) for value in self.all(name)]
        match bounds:
            case []:
                return None
            case [("ge" | "gt", low)]:
                return DateRange(low=low)
            case [(_, high)]:
                return DateRange(high=high)
            case [("ge", low), ("lt", high)] | [("lt", high), ("ge", low)] if low < high:
                return DateRange(low, high)
            case _:
                raise invalid(
                    f"Parameter '{name}' must be provided once, or twice with the prefixes ge and lt that define a lower"
                    " and an upper bound"
                )

    def _bound(self, name: str, value: str) -> tuple[str, datetime]:
        found = _TIME.fullmatch(value)
        if found is None:
            raise invalid(f"Parameter '{name}' is no date: '{value[:40]}'")
        if found["prefix"] not in _PREFIXES:
            raise invalid(f"Parameter '{name}' must have one of the prefixes {', '.join(_PREFIXES)}")
        if found["time"] is None or found["offset"] is None:
            raise invalid(f"Parameter '{name}' must have a time component with an offset")
        return found["prefix"], _moment(name, f"{found['day']}T{found['time']}{found['offset']}")

    def day_range(self, name: str) -> DateRange | None:
        """Return the bounds of a search by day, without time: once with or without prefix, or twice with `ge` and `le`.

        Source: Cerner's R4 page "Patient", "Parameters", notes on `birthdate`.
        """
        bounds: list[tuple[str, datetime]] = []
        for value in self.all(name):
            found = _TIME.fullmatch(value)
            if found is None or found["time"] is not None:
                raise invalid(f"Parameter '{name}' must be a date without a time component: '{value[:40]}'")
            prefix = found["prefix"] or "eq"
            if prefix not in {*_PREFIXES, "eq"}:
                raise invalid(f"Parameter '{name}' has an unsupported prefix: '{prefix}'")
            bounds.append((prefix, _moment(name, f"{found['day']}T00:00:00Z")))
        match bounds:
            case []:
                return None
            case [(prefix, day)]:
                return _days(prefix, day)
            case [("ge", low), ("le", high)] | [("le", high), ("ge", low)]:
                return DateRange(low, high)
            case _:
                raise invalid(f"Parameter '{name}' may be provided twice only with the prefixes le and ge")


def _days(prefix: str, day: datetime) -> DateRange:
    one_day = timedelta(days=1)
    return {
        "eq": DateRange(day, day),
        "ge": DateRange(low=day),
        "gt": DateRange(low=day + one_day),
        "le": DateRange(high=day),
        "lt": DateRange(high=day - one_day),
    }[prefix]


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as exc:
        raise invalid(f"Parameter '{name}' is no date: '{text[:40]}'") from exc
