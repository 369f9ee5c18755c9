"""Durations as Kubernetes writes them (`24h`, `1h30m`, `500ms`)."""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]+)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds(duration: str) -> float:
    """Return the length of `duration` in seconds.

    Raises:
        ValueError: The text is not a sequence of whole numbers each with a unit h, m, s or ms.
    """
    parts = list(_PART.finditer(duration))
    if not duration or "".join(part.group() for part in parts) != duration:
        raise ValueError(f"'{duration}' is not a duration: write for example 24h, 1h30m or 500ms")
    return sum(int(part[1]) * _SECONDS[part[2]] for part in parts)
