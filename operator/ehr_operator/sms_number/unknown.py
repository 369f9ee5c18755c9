"""Purchases that no SmsNumber tells of.

An object that is made anew from Git, after its cluster was lost, has another uid, so its reservations have other ids: what
was being bought for its predecessor is known to the provider alone. It is waited for, and adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ehr_api.v1alpha1.sms_number import Acquire, PurchaseState, SmsNumberSpec, SmsNumberStatus
from ehr_clients.acs_numbers import PhoneNumbers, Reservation
from ehr_operator.runtime.model import Objects
from ehr_operator.views import NUMBER

_LISTING = timedelta(minutes=20)
"""A bought number is listed within this time after its hold would have ended. A longer wait would also be for numbers that
were bought and given up again."""
_NEVER = timedelta(hours=2)
"""A purchase that has not ended so long after its hold may never do so: nobody waits for it any longer."""


_HOLD = timedelta(minutes=15)
"""A reservation ends so long after it was made, unless it is changed."""
_BOUGHT = frozenset({"submitted", "completed"})


@dataclass(frozen=True, slots=True)
class UnknownPurchase:
    """A purchase under a reservation that no SmsNumber has."""

    reservation_id: str
    phone_numbers: tuple[str, ...] = ()
    """What was bought; empty while it is not over."""
    overdue: bool = False


def reservations_of(objects: Objects) -> set[str]:
    """Return the ids of the reservations that the SmsNumbers of the cluster tell of."""
    purchases: Iterable[dict[str, Any]] = (
        body.get("status", {}).get("purchase", {}) for body in objects.list(NUMBER, "")
    )
    return {purchase["reservationID"] for purchase in purchases if "reservationID" in purchase}


def adopts_what_turns_up(spec: SmsNumberSpec) -> bool:
    """Return whether a number that somebody else's purchase brings would be taken instead of buying one."""
    return spec.acquire is Acquire.ADOPT_OR_PURCHASE and spec.phone_number is None


def may_buy(spec: SmsNumberSpec, status: SmsNumberStatus) -> bool:
    """Return whether the next steps may lead to a purchase that is not submitted yet."""
    bought = status.phone_number or (status.purchase and status.purchase.state is PurchaseState.SUBMITTED)
    return not bought and spec.acquire is not Acquire.ADOPT and spec.phone_number is None


async def unknown_purchases(
    numbers: PhoneNumbers, reservations: Collection[Reservation], known: Callable[[], Collection[str]], now: datetime
) -> tuple[UnknownPurchase, ...]:
    """Return the purchases that nobody here knows of and that may still bring a number.

    Raises:
        RemoteError: The provider gave no usable answer.
    """
    found: list[UnknownPurchase] = []
    for reservation in reservations:
        if reservation.id in known() or not _may_bring(reservation, now):
            continue
        if reservation.status == "submitted":
            overdue = reservation.expires_at is not None and now > reservation.expires_at
            found.append(UnknownPurchase(reservation.id, overdue=overdue))
        else:
            bought = await _held(numbers, reservation)
            if bought:  # else the purchase failed
                found.append(UnknownPurchase(reservation.id, bought))
    return tuple(found)


async def bought_unknown(
    numbers: PhoneNumbers, reservations: Collection[Reservation], known: Callable[[], Collection[str]], now: datetime
) -> tuple[datetime, ...]:
    """Return when numbers were bought within a day under reservations that nobody here knows of.

    They were for objects that are gone, before this process began: what was spent for them counts all the same.

    Raises:
        RemoteError: The provider gave no usable answer.
    """
    found: list[datetime] = []
    for reservation in reservations:
        if reservation.expires_at is None or reservation.status not in _BOUGHT or reservation.id in known():
            continue
        bought_at = min(reservation.expires_at - _HOLD, now)
        if now - bought_at < timedelta(days=1) and await _held(numbers, reservation):
            found.append(bought_at)
    return tuple(found)


async def _held(numbers: PhoneNumbers, reservation: Reservation) -> tuple[str, ...]:
    """Return the numbers of a reservation: the list of reservations leaves them out."""
    full = await numbers.reservation(reservation.id)
    return tuple(number.phone_number for number in full.held) if full else ()


def _may_bring(reservation: Reservation, now: datetime) -> bool:
    waits = {"submitted": _NEVER, "completed": _LISTING}.get(reservation.status)
    return waits is not None and (reservation.expires_at is None or now < reservation.expires_at + waits)
