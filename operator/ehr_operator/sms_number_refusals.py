"""Numbers whose texts do not arrive because of the number: told once for an organisation, read by each number's reconcile."""

from __future__ import annotations

from collections.abc import Iterable

from ehr_api.conditions import Type
from ehr_api.control import MessagesReport
from ehr_operator.runtime.model import Body, Key
from ehr_operator.sms_number.report import TEXTS_REFUSED
from ehr_operator.views import NUMBER, condition_reason, condition_status, key_of

_NOT_VERIFIED = 4010
"""The provider's code: the number is not verified, or its texts are filtered."""


class Refusals:
    """What the connectors tell; after a restart they are asked again, and until then what stands in status holds."""

    def __init__(self) -> None:
        self._refused: dict[Key, frozenset[str]] = {}

    def stands(self, organization: Key, number: Body) -> bool:
        """Return whether the texts of an SmsNumber do not arrive because of it."""
        refused = self._refused.get(organization)
        if refused is None:
            return is_refused(number)
        return _phone(number) in refused

    def told(self, organization: Key, report: MessagesReport, numbers: Iterable[Body]) -> tuple[Key, ...]:
        """Take in what a connector tells of an organisation; return those of its SmsNumbers for which that is news."""
        known = self._refused.get(organization)
        self._refused[organization] = now = refused_of(report)
        return tuple(
            key_of(NUMBER, number)
            for number in numbers
            if (_phone(number) in now) != (is_refused(number) if known is None else _phone(number) in known)
        )

    def forget(self, organization: Key) -> None:
        """Forget an organisation that is gone."""
        self._refused.pop(organization, None)


def refused_of(report: MessagesReport) -> frozenset[str]:
    """Return the phone numbers whose texts do not arrive because of the number."""
    return frozenset(one.number for one in report.troubles if one.code == _NOT_VERIFIED)


def is_refused(number: Body) -> bool:
    """Return whether an SmsNumber's status says that its texts do not arrive because of it."""
    return condition_reason(number, Type.VERIFIED) == TEXTS_REFUSED


def may_text(number: Body) -> bool:
    """Return whether texts may go out from an SmsNumber that has a phone number.

    Only what is known to be wrong takes a number away: an answer that the operator cannot get silences nobody. A number
    whose texts were refused is tried on: the first one that arrives tells that it is well again.
    """
    is_verified = condition_status(number, Type.VERIFIED) == "True" or is_refused(number)
    return is_verified and condition_status(number, Type.PROVISIONED) != "False"


def _phone(number: Body) -> str:
    return number.get("status", {}).get("phoneNumber", "")
