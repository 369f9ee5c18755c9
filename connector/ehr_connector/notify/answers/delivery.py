"""What the provider reports of a message it took: whether it arrived, why not, and whether to send it again. Pure.

Source: Communication Services, "Troubleshooting" and the SMS FAQ; Event Grid, AcsEmailDeliveryReportStatus. Which of Microsoft's
nine statuses a code shows as is in `ehr_connector.reports.message_statuses`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ehr_connector.store.send_state import State

OPTED_OUT = 4007
NOT_VERIFIED = 4010
"""The toll-free number is not verified, or its texts are filtered: nothing that it sends arrives."""
_ARRIVED = 2000
_UNKNOWN = 9999
_AGAIN = frozenset({4006, 5002, 9999})
"""Source: SMS FAQ: worth another try."""
_PAUSES = (timedelta(minutes=5), timedelta(minutes=30))
"""Before the second and the third try; there is no fourth."""
_EMAIL_FAILURES = frozenset({"bounced", "suppressed", "quarantined", "filteredspam", "failed"})
_EMAIL_ON_THE_WAY = "expanded"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message."""

    state: State
    reason: str
    """The provider's code of a text; the status of an e-mail, in lower case."""

    @property
    def code(self) -> int | None:
        """The code, if there is one."""
        return int(self.reason) if self.reason.isdecimal() else None


def of_text(status: str, details: str) -> Fate | None:
    """Return what a text's report says (`deliveryStatus`, `deliveryStatusDetails`); None when its fate is not known yet."""
    match status.casefold():
        case "delivered":
            return Fate(State.DELIVERED, str(_ARRIVED))
        case "failed":
            code = _code(details)
            return Fate(State.FAILED, str(_UNKNOWN if code is None or code == _ARRIVED else code))
        case _:
            return None


def of_email(status: str) -> Fate | None:
    """Return what an e-mail's report says; None when its fate is not known yet. All but Delivered counts as failed."""
    word = status.casefold()
    if word == _EMAIL_ON_THE_WAY:
        return None
    if word == State.DELIVERED:
        return Fate(State.DELIVERED, word)
    return Fate(State.FAILED, word if word in _EMAIL_FAILURES else "failed")


def pause_before_another(fate: Fate, attempts: int, *, by_email: bool = False) -> timedelta | None:
    """Return how long to wait before a text is sent again after so many attempts, or None when it is not.

    With `by_email` who takes no texts is written an e-mail, and that at once.
    """
    if not 1 <= attempts <= len(_PAUSES):
        return None
    if fate.code == OPTED_OUT:
        return timedelta() if by_email else None
    return _PAUSES[attempts - 1] if fate.code in _AGAIN else None


def _code(details: str) -> int | None:
    """Return the code that the details begin with, for example 4006 of "4006: Destination number is unreachable"."""
    digits = details.partition(":")[0].strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= len("99999") else None
