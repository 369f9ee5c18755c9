"""What became of a message, in Microsoft's nine statuses and in what theirs does not tell. Pure.

Source: Azure Communication Services, "Troubleshooting", error codes of SMS delivery; Microsoft 365, "SMS notifications usage
report".
"""

from __future__ import annotations

from collections.abc import Mapping

from ehr_connector.reports.ports import MessageStatus

NOT_GONE_OUT = ("claimed", "not_sent")
"""States of `ehr_connector.store.send_state` in which the provider has not taken the message."""

STATUS_OF_CODE: Mapping[str, MessageStatus] = {
    "2000": MessageStatus.SENT,
    "4000": MessageStatus.SPAM_DETECTED,
    "4002": MessageStatus.INVALID_NUMBER,
    "4004": MessageStatus.NUMBER_DOES_NOT_EXIST,
    "4005": MessageStatus.BLOCKED_NUMBER,
    "4006": MessageStatus.UNREACHABLE_NUMBER,
    "4007": MessageStatus.OPTED_OUT,
    "4009": MessageStatus.RECIPIENT_BLOCKED,
}
"""Every other code is another error."""
_OF_STATE: Mapping[str, MessageStatus] = {
    "claimed": MessageStatus.PENDING,
    "not_sent": MessageStatus.NOT_SENT,
    "accepted": MessageStatus.UNCONFIRMED,
    "unknown": MessageStatus.UNCONFIRMED,
}


def status_of_message(state: str, reason: str | None) -> MessageStatus:
    """Return the status of a message in a state, with the reason or the provider's code that stands beside it."""
    known = _OF_STATE.get(state)
    if known is not None:
        return known
    return STATUS_OF_CODE.get(reason or "", MessageStatus.OTHER_ERROR)
