"""Waiting for what another process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.1


def eventually(holds: Callable[[], bool], limit_s: float = 60.0) -> bool:
    """Whether `holds` becomes true within a time that suffices on a machine which is busy with other things."""
    deadline_s = time.monotonic() + limit_s
    while not (held := holds()) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return held
