"""Times as Graph writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ehr_sandbox.graph.errors import bad_request


def wire_time(time: datetime) -> str:
    """Return a time with Graph's seven decimals, in UTC."""
    return f"{time.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%f')}0Z"


def time_of(value: Any, name: str) -> datetime:
    """Return the time that a field holds; raises GraphError when it holds none."""
    try:
        time = datetime.fromisoformat(value)
    except (ValueError, TypeError) as exc:
        raise bad_request(f"Invalid value specified for property '{name}' of resource.") from exc
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
