"""What the provider reports of a message: one of the nine statuses of Microsoft's report, and whether to send it again. Pure.

Source of the statuses: Microsoft Teams, "SMS notifications usage report"; of the codes: Communication Services, "Troubleshooting"
and the SMS FAQ. No page says which code shows as which status: the pairing is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class Delivery(StrEnum):
    """What became of a message that the provider took, in the words of Microsoft's report."""

    SENT = "sent"
    OPTED_OUT = "opted_out"
    """Not delivered - Blocked by recipient (opted out)."""
    INVALID_NUMBER = "invalid_number"
    """Not delivered - Invalid phone number."""
    NO_SUCH_NUMBER = "no_such_number"
    """Not delivered - Phone number doesn't exist."""
    BLOCKED_NUMBER = "blocked_number"
    """Not delivered - Blocked phone number: the carrier lets no text through to it."""
    UNREACHABLE = "unreachable"
    """Not delivered - Unreachable phone number."""
    SPAM = "spam"
    """Not delivered - Spam detected."""
    RECIPIENT_BLOCKED = "recipient_blocked"
    """Not delivered - Recipient blocked: the provider itself sends nothing there."""
    OTHER_ERROR = "other_error"
    """Not delivered - Other error."""


OPTED_OUT = 4007
NOT_VERIFIED = 4010
"""The toll-free number is not verified, or its texts are filtered: nothing that it sends arrives."""

_OF_CODE: Mapping[int, Delivery] = {
    2000: Delivery.SENT,
    4000: Delivery.SPAM,
    4001: Delivery.INVALID_NUMBER,
    4002: Delivery.INVALID_NUMBER,
    4003: Delivery.RECIPIENT_BLOCKED,
    4004: Delivery.NO_SUCH_NUMBER,
    4005: Delivery.BLOCKED_NUMBER,
    4006: Delivery.UNREACHABLE,
    OPTED_OUT: Delivery.OPTED_OUT,
    4020: Delivery.SPAM,
}
_OF_EMAIL: Mapping[str, Delivery] = {
    "delivered": Delivery.SENT,
    "bounced": Delivery.NO_SUCH_NUMBER,
    "suppressed": Delivery.RECIPIENT_BLOCKED,
    "quarantined": Delivery.SPAM,
    "filteredspam": Delivery.SPAM,
    "failed": Delivery.OTHER_ERROR,
}
"""Source: Event Grid, AcsEmailDeliveryReportStatus; anything but Delivered counts as failed."""
_ON_THE_WAY = frozenset({"expanded"})
_AGAIN = frozenset({4006, 5002, 9999})
"""Source: SMS FAQ: worth another try."""
_PAUSES = (timedelta(minutes=5), timedelta(minutes=30))
"""Before the second and the third try; there is no fourth."""


def code_of(details: str) -> int | None:
    """Return the code of `deliveryStatusDetails`, for example 4006 of "4006: Destination number is unreachable"."""
    digits = details.partition(":")[0].strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= len("99999") else None


def of_text(status: str, code: int | None) -> Delivery | None:
    """Return what a text's report says; None when its fate is not known yet."""
    if status.casefold() == "delivered":
        return Delivery.SENT
    if status.casefold() != "failed":
        return None
    found = _OF_CODE.get(code or 0, Delivery.OTHER_ERROR)
    return Delivery.OTHER_ERROR if found is Delivery.SENT else found


def of_email(status: str) -> Delivery | None:
    """Return what an e-mail's report says; None when its fate is not known yet."""
    if status.casefold() in _ON_THE_WAY:
        return None
    return _OF_EMAIL.get(status.casefold(), Delivery.OTHER_ERROR)


def pause_before_another(code: int | None, attempts: int) -> timedelta | None:
    """Return how long to wait before a text is sent again after so many attempts, or None when it is not."""
    return _PAUSES[attempts - 1] if code in _AGAIN and 1 <= attempts <= len(_PAUSES) else None
