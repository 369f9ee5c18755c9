"""What to do next for a phone number. Pure: desired and observed state go in, exactly one step comes out.

The order of things is what keeps a purchase exactly once: the intent stands in status before the first call, the
reservation's id follows from the object and the attempt, and after any doubt the provider is asked what became of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid5

import phonenumbers

from ehr_api.v1alpha1.sms_number import Acquire, Capability, Purchase, PurchaseState, SmsNumberSpec
from ehr_clients.acs_numbers import AvailableNumber, Capabilities, PurchasedNumber, Reservation
from ehr_operator.sms_number.budget import WaitToBuy
from ehr_operator.sms_number.pauses import LONG_S
from ehr_operator.sms_number.unknown import UnknownPurchase, adopts_what_turns_up

_NAMESPACE = UUID("6c2f6f0e-93b5-4c0b-8f0d-5a6b3f1f7f0a")
"""Ours alone: reservation ids are derived under it. Changing it would buy numbers twice."""

_HOLD_MAX_S = 2 * 3600.0
"""The longest life of a reservation (azure-communication-phonenumbers, `create_or_update_reservation`)."""

_CAPABILITY = {
    Capability.NONE: "none",
    Capability.INBOUND: "inbound",
    Capability.OUTBOUND: "outbound",
    Capability.INBOUND_AND_OUTBOUND: "inbound+outbound",
}
_TYPE = {"TollFree": "tollFree", "Geographic": "geographic", "Mobile": "mobile"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known before a step."""

    uid: str
    phone_number: str | None
    """The number that status says is held."""
    purchase: Purchase | None
    """The recorded intent."""
    owned: tuple[PurchasedNumber, ...]
    claimed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Numbers that other SmsNumbers hold, pin or are buying, with their namespaces and names."""
    reservation: Reservation | None = None
    """What the provider says of the intent's reservation; None where it knows none (or there is no intent)."""
    purchase_age_s: float = 0.0
    """Seconds since the intent was written."""
    purchasing_enabled: bool = True
    wait_to_buy: WaitToBuy | None = None
    """Why nothing may be bought now: others are bought for, or the budget is used up."""
    unknown: tuple[UnknownPurchase, ...] = ()
    """Purchases that no SmsNumber tells of; looked up only before a first attempt."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The number is owned: record it, and what the provider says about it."""

    number: PurchasedNumber


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take this owned number."""

    number: PurchasedNumber


@dataclass(frozen=True, slots=True)
class Intend:
    """Write down the intent to buy, under this attempt."""

    attempt: int
    reservation_id: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """Find a number and put it into the intent's reservation."""

    reservation_id: str


@dataclass(frozen=True, slots=True)
class Buy:
    """Buy what the reservation holds: this spends money."""

    reservation_id: str
    phone_number: str


@dataclass(frozen=True, slots=True)
class Poll:
    """The provider is at work: look again."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """Nothing can be done until somebody or something else changes."""

    reason: str
    message: str
    stalled: bool = field(default=True)


Step = Hold | Adopt | Intend | Reserve | Buy | Poll | Blocked


def plan(spec: SmsNumberSpec, observed: Observed) -> Step:
    """Return the one next step; the first rule that applies wins."""
    owned = {number.phone_number: number for number in observed.owned}
    if observed.phone_number is not None:
        return _held(observed.phone_number, owned)
    if observed.purchase is not None:
        return _resume(observed.purchase, observed, owned, spec)
    adopted = _adoptable(spec, observed)
    if adopted is not None:
        return Adopt(adopted)
    return _acquire(spec, observed)


def _held(phone_number: str, owned: dict[str, PurchasedNumber]) -> Step:
    if phone_number in owned:
        return Hold(owned[phone_number])
    return Blocked(
        "NumberNotOwned",
        f"{phone_number} is recorded here but the Communication Services resource does not own it (any more). It is not"
        " bought again by itself. Azure: put it back; author: or delete this SmsNumber and create a new one",
    )


def _resume(purchase: Purchase, observed: Observed, owned: dict[str, PurchasedNumber], spec: SmsNumberSpec) -> Step:
    """Go on with a purchase that was begun.

    The reservation tells how far it got. A recorded number alone proves nothing: somebody else may have bought it after
    our hold had expired.
    """
    reservation = observed.reservation
    if reservation is None:
        return _forgotten(purchase, observed, owned, spec)
    match reservation.status, reservation.held:
        case "submitted", _ if observed.purchase_age_s > LONG_S:
            return Poll(
                "PurchaseOverdue",
                "Communication Services has been buying the number for more than an hour. Nothing else is bought in its"
                f" place. Azure: ask support what became of the reservation {purchase.reservation_id}",
            )
        case "submitted", _:
            return Poll(
                "PurchaseSubmitted",
                "Communication Services is buying the number; this can take minutes. Nobody has to act",
            )
        case "completed", [number] if number.phone_number in owned:
            return Hold(owned[number.phone_number])
        case "completed", [_]:
            return Poll(
                "AwaitingListing",
                "the number is bought, and Communication Services does not list it yet. Nobody has to act",
            )
        case "active", []:
            return _willing(spec, observed) or Reserve(purchase.reservation_id)
        case "active", [number] if not _matches(spec, number):
            return _next_attempt(purchase, observed, spec)  # the spec is another one by now; the hold lapses by itself
        case "active", [number]:
            return _willing(spec, observed) or _buy(spec, purchase, number)
        case _:
            # Expired unpurchased, completed without a number (the purchase failed), or holding several numbers, which this
            # operator never asks for.
            return _next_attempt(purchase, observed, spec)


def _forgotten(purchase: Purchase, observed: Observed, owned: dict[str, PurchasedNumber], spec: SmsNumberSpec) -> Step:
    """Go on without a word of the provider: it forgets reservations after a month, and never knew one whose call was lost."""
    recorded = purchase.phone_number
    if purchase.state is PurchaseState.SUBMITTED and observed.purchase_age_s < _HOLD_MAX_S:
        # A reservation lives for two hours at the most: until then a purchase of it may still come true.
        return Poll(
            "PurchaseSubmitted", "Communication Services tells nothing of the purchase just now. Nobody has to act"
        )
    if recorded is None:
        return _willing(spec, observed) or Reserve(purchase.reservation_id)
    if recorded in owned and recorded not in observed.claimed:
        return Hold(owned[recorded])
    return _next_attempt(purchase, observed, spec)


def _willing(spec: SmsNumberSpec, observed: Observed) -> Step | None:
    """Return what to do instead of buying where the spec, as it stands now, does not ask for a purchase."""
    if spec.acquire is Acquire.ADOPT or spec.phone_number is not None:
        adopted = _adoptable(spec, observed)
        return Adopt(adopted) if adopted else _acquire(spec, observed)
    return _forbidden(observed)


def _forbidden(observed: Observed) -> Blocked | Poll | None:
    """Return why nothing may be bought now, whatever the spec asks for."""
    if not observed.purchasing_enabled:
        return _PURCHASING_DISABLED
    return None if observed.wait_to_buy is None else waiting(observed.wait_to_buy)


def waiting(wait: WaitToBuy) -> Blocked | Poll:
    """Return the step that waits until something may be bought."""
    return Poll(wait.reason, wait.message) if wait.soon else Blocked(wait.reason, wait.message, stalled=False)


def _buy(spec: SmsNumberSpec, purchase: Purchase, number: AvailableNumber) -> Step:
    if affordable(spec, [number]) is None:
        return Blocked(
            "TooExpensive",
            f"the reserved {number.phone_number} costs more than maxMonthlyCost now allows. Author: raise it, or wait"
            " for the reservation to lapse, after which another number is looked for",
            stalled=False,
        )
    return Buy(purchase.reservation_id, number.phone_number)


def _next_attempt(purchase: Purchase, observed: Observed, spec: SmsNumberSpec) -> Step:
    adopted = _adoptable(spec, observed)
    if adopted is not None:
        return Adopt(adopted)
    attempt = purchase.attempt + 1 if purchase.object_uid == observed.uid else 1
    return _willing(spec, observed) or Intend(attempt, reservation_id(observed.uid, attempt))


def _adoptable(spec: SmsNumberSpec, observed: Observed) -> PurchasedNumber | None:
    if spec.acquire is Acquire.PURCHASE:
        return None
    free = [number for number in observed.owned if number.phone_number not in observed.claimed]
    if spec.phone_number is not None:
        return next((number for number in free if number.phone_number == spec.phone_number), None)
    matching = [number for number in free if _matches(spec, number)]
    # The oldest first: the number that patients have known the longest.
    return min(matching, key=lambda number: (str(number.purchase_date or ""), number.phone_number), default=None)


def _acquire(spec: SmsNumberSpec, observed: Observed) -> Step:
    if spec.phone_number is not None:
        if spec.phone_number in observed.claimed:
            holder = observed.claimed[spec.phone_number]
            return Blocked(
                "AlreadyClaimed", f"the SmsNumber '{holder}' has {spec.phone_number}. Author: remove one of the two"
            )
        return Blocked(
            "PinnedNumberNotOwned",
            f"the Communication Services resource does not own {spec.phone_number}. Azure: port it there;"
            " author: or create an SmsNumber without spec.phoneNumber to take or buy another one",
            stalled=False,
        )
    if spec.acquire is Acquire.ADOPT:
        return Blocked(
            "NoNumberToAdopt",
            "the Communication Services resource owns no unclaimed number that matches. Azure: buy one there; author: or set"
            " acquire: AdoptOrPurchase",
            stalled=False,
        )
    return _forbidden(observed) or _awaited(spec, observed) or Intend(1, reservation_id(observed.uid, 1))


def _awaited(spec: SmsNumberSpec, observed: Observed) -> Blocked | Poll | None:
    """Return what to wait for where a purchase that was begun for a lost object may still bring a number to adopt."""
    if not adopts_what_turns_up(spec):
        return None
    owned = {number.phone_number for number in observed.owned}
    for one in observed.unknown:
        if one.overdue:
            return Blocked(
                "UnknownPurchase",
                "Communication Services has long been buying a number under a reservation that no SmsNumber tells of."
                f" Azure: ask support what became of {one.reservation_id}. It is waited for until two hours after the"
                " reservation's end, and adopted if it matches",
                stalled=False,
            )
        if not one.phone_numbers or not owned.issuperset(one.phone_numbers):
            return Poll(
                "UnknownPurchase",
                "Communication Services is buying a number, or has just bought one that it does not list yet, under a"
                f" reservation that no SmsNumber tells of ({one.reservation_id}), perhaps for this one before its cluster"
                " was lost: it is waited for, and adopted if it matches. Nobody has to act",
            )
    return None


_PURCHASING_DISABLED = Blocked(
    "PurchasingDisabled",
    "purchases are switched off for the whole operator. Platform team: set EHR_OPERATOR_PURCHASING=enabled and restart it;"
    " author: or adopt a number",
    stalled=False,
)


def reservation_id(uid: str, attempt: int) -> str:
    """Return the reservation id of an attempt: the same object and attempt give the same id for ever."""
    return str(uuid5(_NAMESPACE, f"{uid}/{attempt}"))


def number_type(spec: SmsNumberSpec) -> str:
    """Return the provider's word for the kind of number."""
    return _TYPE[spec.number_type]


def capabilities(spec: SmsNumberSpec) -> Capabilities:
    """Return what the number must be able to do, with the defaults of the API."""
    wanted = spec.capabilities
    sms = wanted.sms if wanted and wanted.sms else Capability.INBOUND_AND_OUTBOUND
    calling = wanted.calling if wanted and wanted.calling else Capability.NONE
    return Capabilities(calling=_CAPABILITY[calling], sms=_CAPABILITY[sms])


def affordable(spec: SmsNumberSpec, numbers: Collection[AvailableNumber]) -> AvailableNumber | None:
    """Return the first number on sale that matches and costs no more a month than `maxMonthlyCost`; None when there is none."""
    limit = spec.max_monthly_cost
    for number in numbers:
        if not _matches(spec, number):
            continue
        if limit is None:
            return number
        cost = number.cost
        if cost and cost.currency_code == limit.currency and cost.amount <= float(limit.amount):
            return number
    return None


def _matches(spec: SmsNumberSpec, number: PurchasedNumber | AvailableNumber) -> bool:
    wanted = capabilities(spec)
    return (
        number.country_code == spec.country_code
        and number.phone_number_type == number_type(spec)
        and (spec.area_code is None or _national(number.phone_number).startswith(spec.area_code))
        and _covers(number.capabilities.sms, wanted.sms)
        and _covers(number.capabilities.calling, wanted.calling)
    )


def _covers(has: str, wants: str) -> bool:
    return wants == "none" or set(wants.split("+")) <= set(has.split("+"))


def _national(phone_number: str) -> str:
    """Return a number without its country code: area codes are the beginning of what remains."""
    try:
        return phonenumbers.national_significant_number(phonenumbers.parse(phone_number))
    except phonenumbers.NumberParseException:
        return ""
