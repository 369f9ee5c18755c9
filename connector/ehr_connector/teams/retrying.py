"""When a call of Graph that failed is made again, and what may be said of its failure. Pure."""

from __future__ import annotations

from datetime import timedelta

from ehr_clients.errors import RemoteError, TemporaryError
from ehr_connector.teams.refusals import TeamsError

FIRST_S, LONGEST_S = 5.0, 600.0
"""Pauses after a failure double from the first to the longest."""


def pause(attempts: int, error: Exception) -> timedelta:
    """Return how long to wait after a failure, of which there were `attempts` before; longer where Graph asks for it."""
    asked_s = error.retry_after_s if isinstance(error, TemporaryError | TeamsError) else None
    pause_s = min(FIRST_S * 2.0 ** min(attempts, 16), LONGEST_S)
    return timedelta(seconds=max(pause_s, asked_s or 0.0))


def said(error: Exception) -> str:
    """Return what may stand in a log: our own words, and the remote system's status and code."""
    return error.detail if isinstance(error, RemoteError) else str(error)
