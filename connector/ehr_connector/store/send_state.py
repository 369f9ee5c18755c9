"""How far a message is."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How far a message is."""

    CLAIMED = "claimed"
    """Somebody is at it, or was: it may have been sent."""
    ACCEPTED = "accepted"
    """The provider has it."""
    NOT_SENT = "not_sent"
    """It was decided against, or the provider refused."""
    DELIVERED = "delivered"
    """The provider reports that it arrived."""
    FAILED = "failed"
    """The provider took it, and reports that it did not arrive."""
    UNKNOWN = "unknown"
    """The provider was asked to send it, and nobody can find out whether it did: it is not sent again."""
