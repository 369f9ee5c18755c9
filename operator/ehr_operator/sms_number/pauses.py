"""How long to wait for the provider: briefly at first, and less and less often for what may never end."""

from __future__ import annotations

_SOON_S = 5.0
_STEPS = ((5 * 60.0, _SOON_S), (3600.0, 60.0))
"""Up to this age, look this often."""
SELDOM_S = 600.0
LONG_S = 3600.0
"""What takes longer than this is told as something that may never end."""
_UNANSWERED_S = 60.0


def poll_pause_s(age_s: float) -> float:
    """Return the pause before the next look at something that was begun `age_s` ago."""
    return next((pause for until, pause in _STEPS if age_s < until), SELDOM_S)


def outage_pause_s(looks: int) -> float:
    """Return the pause after `looks` looks in a row, at least one, that got no answer about a number that is held."""
    return min(_UNANSWERED_S * 2.0 ** min(looks - 1, 10), SELDOM_S)
