"""The end of an SmsNumber: what becomes of its number."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from ehr_api.v1alpha1.sms_number import DeletionPolicy, PurchaseState, SmsNumberSpec, SmsNumberStatus
from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.errors import RefusedError
from ehr_operator.runtime.model import Finalized, Note
from ehr_operator.sms_number.report import Situation

_POLL_S = 5.0


def is_settled(spec: SmsNumberSpec, status: SmsNumberStatus) -> Finalized | None:
    """Return the end where the provider need not be asked: nothing was bought, or what is held stays."""
    if status.phone_number is None:
        bought = status.purchase is not None and status.purchase.state is PurchaseState.SUBMITTED
        return None if bought else Finalized()
    return _retained(status.phone_number) if spec.deletion_policy is DeletionPolicy.RETAIN else None


async def let_go(
    spec: SmsNumberSpec, status: SmsNumberStatus, numbers: PhoneNumbers, may_spend: Callable[[], None]
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
                f"the purchase of {number} was under way when the deletion came; it goes on once the number is listed",
                requeue_after_s=_POLL_S,
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
    return Situation("ReleasePending", f"Communication Services is releasing {number}", requeue_after_s=_POLL_S)


def _retained(number: str) -> Finalized:
    return Finalized((Note("NumberRetained", f"{number} stays in the Communication Services resource"),))
