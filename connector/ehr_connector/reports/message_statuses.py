"""What became of a message, in Microsoft's nine statuses and in what theirs does not tell. Pure.

Source: Azure Communication Services, "Troubleshooting", error codes of SMS delivery; Microsoft 365, "SMS notifications usage
report".
"""

from __future__ import annotations

from collections.abc import Mapping

from ehr_connector.reports.ports import MessageStatus
from ehr_connector.store.send_state import State

NOT_GONE_OUT = (State.CLAIMED.value, State.NOT_SENT.value)
"""States in which the provider has not taken the message."""

STATUS_OF_REASON: Mapping[str, MessageStatus] = {
    "4000": MessageStatus.SPAM_DETECTED,
    "4002": MessageStatus.INVALID_NUMBER,
    "4003": MessageStatus.RECIPIENT_BLOCKED,
    "4004": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "4005": MessageStatus.BLOCKED_NUMBER,
    "4006": MessageStatus.UNREACHABLE_NUMBER,
    "4007": MessageStatus.OPTED_OUT,
    "4020": MessageStatus.SPAM_DETECTED,
    "bounced": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "suppressed": MessageStatus.RECIPIENT_BLOCKED,
    "quarantined": MessageStatus.SPAM_DETECTED,
    "filteredspam": MessageStatus.SPAM_DETECTED,
}
"""Why a message failed: the provider's code of a text, the status of an e-mail. Every other is another error.

No page says which code shows as which status: the pairing is ours.
"""
_OF_STATE: Mapping[str, MessageStatus] = {
    State.CLAIMED: MessageStatus.PENDING,
    State.NOT_SENT: MessageStatus.NOT_SENT,
    State.ACCEPTED: MessageStatus.UNCONFIRMED,
    State.UNKNOWN: MessageStatus.UNCONFIRMED,
    State.DELIVERED: MessageStatus.SENT,
}


def status_of_message(state: str, reason: str | None) -> MessageStatus:
    """Return the status of a message in a state, with the reason or the provider's code that stands beside it."""
    known = _OF_STATE.get(state)
    if known is not None:
        return known
    return STATUS_OF_REASON.get(reason or "", MessageStatus.OTHER_ERROR)
