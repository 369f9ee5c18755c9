"""The end of an SmsNumber: what becomes of its number."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from ehr_api.v1alpha1.sms_number import DeletionPolicy, PurchaseState, SmsNumberSpec, SmsNumberStatus
from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.errors import RefusedError
from ehr_operator.runtime.model import Finalized, Note
from ehr_operator.sms_number.pauses import LONG_S, poll_pause_s
from ehr_operator.sms_number.report import Situation


def never_owned(status: SmsNumberStatus) -> bool:
    """Return whether nothing outside can belong to the object: it held no number, and no purchase was submitted for it."""
    bought = status.purchase is not None and status.purchase.state is PurchaseState.SUBMITTED
    return status.phone_number is None and not bought


def is_settled(spec: SmsNumberSpec, status: SmsNumberStatus) -> Finalized | None:
    """Return the end where the provider need not be asked: nothing was bought, or what is held stays."""
    if status.phone_number is None:
        return Finalized() if never_owned(status) else None
    return _retained(status.phone_number) if spec.deletion_policy is DeletionPolicy.RETAIN else None


async def let_go(
    spec: SmsNumberSpec,
    status: SmsNumberStatus,
    numbers: PhoneNumbers,
    may_spend: Callable[[], None],
    *,
    deleting_for_s: float,
) -> Situation | Finalized:
    """Bring the end one step closer: a purchase under way is awaited, then its number kept or given up.

    Raises:
        RemoteError: The provider gave no usable answer.
        ConflictError: Another process may lead; nothing was given up.
    """
    number = status.phone_number
    if number is None:
        assert status.purchase is not None  # noqa: S101 (is_settled looked)
        reservation = await numbers.reservation(status.purchase.reservation_id)
        if reservation is None or reservation.status not in {"submitted", "completed"} or not reservation.held:
            return Finalized()  # nothing was bought: a hold lapses by itself
        number = reservation.held[0].phone_number
        if await numbers.owned_number(number) is None:
            # Until it is listed nobody could adopt it, and a successor of this object would buy another one.
            return Situation(
                "PurchaseUnderWay",
                f"the purchase of {number} was under way when the deletion came, and it goes on once the number is listed. Nobody has to act",
                requeue_after_s=poll_pause_s(deleting_for_s),
            )
        if spec.deletion_policy is DeletionPolicy.RETAIN:
            return _retained(number)
    elif await numbers.owned_number(number) is None:
        return Finalized((Note("NumberReleased", f"{number} was given up"),))
    may_spend()
    try:
        await numbers.release(number)
    except RefusedError as exc:
        if exc.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:  # conflict: a release is under way already
            raise
    message = f"Communication Services is releasing {number}. Nobody has to act"
    if deleting_for_s > LONG_S:
        message = (
            f"Communication Services is releasing {number}, and has not done so for more than an hour. Azure: ask support; author:"
            " or set deletionPolicy: Retain to let the object go and keep the number"
        )
    return Situation("ReleasePending", message, requeue_after_s=poll_pause_s(deleting_for_s))


def _retained(number: str) -> Finalized:
    return Finalized((Note("NumberRetained", f"{number} stays in the Communication Services resource"),))
