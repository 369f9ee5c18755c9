"""Carries out the plan for one number, a step at a time, until there is something to wait for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Literal

from ehr_api.v1alpha1.sms_number import Purchase, PurchaseState, SmsNumberSpec, SmsNumberStatus
from ehr_clients.acs_numbers import AvailableNumber, PhoneNumbers, PurchasedNumber, Reservation
from ehr_clients.errors import RefusedError, TemporaryError
from ehr_operator.runtime.model import FREE, PAID, Api, Clock, ConflictError, Note, Object
from ehr_operator.sms_number import report
from ehr_operator.sms_number.budget import Purchases, Spent, WaitToBuy
from ehr_operator.sms_number.claims import Claims
from ehr_operator.sms_number.pauses import poll_pause_s
from ehr_operator.sms_number.plan import (
    Adopt,
    Blocked,
    Buy,
    Hold,
    Intend,
    Observed,
    Poll,
    Reserve,
    Step,
    affordable,
    capabilities,
    number_type,
    plan,
    waiting,
)
from ehr_operator.sms_number.report import Situation
from ehr_operator.sms_number.unknown import (
    UnknownPurchase,
    adopts_what_turns_up,
    bought_unknown,
    may_buy,
    unknown_purchases,
)

_MAX_STEPS = 8
"""Intend, reserve, buy, poll: a pass has no more steps than this, so no mistake of ours can spend in a loop."""
_BLOCKED_S = 600.0
_WARNED = frozenset({"BudgetReached", "UnknownPurchase"})
"""What somebody has to look at although it may go on by itself."""

Number = Object[SmsNumberSpec, SmsNumberStatus]
Progress = Literal["go on", "held"]


@dataclass(frozen=True, slots=True)
class Result:
    """How far one pass got."""

    status: SmsNumberStatus
    situation: Situation | None
    notes: tuple[Note, ...] = ()


class Acquisition:
    """One pass over one number. The caller holds the claims' lock."""

    def __init__(
        self,
        obj: Number,
        numbers: PhoneNumbers,
        endpoint: str,
        api: Api,
        clock: Clock,
        *,
        claimed: Callable[[], Mapping[str, str]],
        known_reservations: Callable[[], Collection[str]],
        counted_reservations: Callable[[], Collection[str]],
        claims: Claims,
        purchases: Purchases,
        purchasing_enabled: bool,
        wait_to_buy: Callable[[Collection[datetime]], WaitToBuy | None],
        may_spend: Callable[[], None],
    ) -> None:
        self._obj = obj
        self._numbers = numbers
        self._endpoint = endpoint
        self._api = api
        self._clock = clock
        self._claimed = claimed
        self._known_reservations = known_reservations
        self._counted_reservations = counted_reservations
        self._claims = claims
        self._purchases = purchases
        self._purchasing_enabled = purchasing_enabled
        self._wait_to_buy = wait_to_buy
        self._may_spend = may_spend
        self._notes: list[Note] = []
        self._reservations: list[Reservation] | None = None
        """All that the provider knows, as it was at the first step of this pass that asked for it."""
        self._bought: tuple[datetime, ...] | None = None

    @property
    def status(self) -> SmsNumberStatus:
        """Return the status as far as this pass got, also after an error."""
        return self._obj.status

    async def run(self) -> Result:
        """Take steps until one of them has to wait.

        Raises:
            RemoteError: The provider gave no usable answer; what was begun stands in status.
            ConflictError: Somebody changed the object meanwhile, or another process may lead; nothing was spent after that.
        """
        for _ in range(_MAX_STEPS):
            step = plan(self._obj.spec, await self._observe())
            progress = await self._take(step)
            if progress != "go on":
                situation = None if progress == "held" else progress
                return Result(self._obj.status, situation, tuple(self._notes))
        raise AssertionError("a pass took more steps than the protocol has")

    async def _observe(self) -> Observed:
        status = self._obj.status
        reservation: Reservation | None = None
        if status.phone_number is None and status.purchase is not None:
            reservation = await self._numbers.reservation(status.purchase.reservation_id)
        owned = await self._owned(reservation)
        return Observed(
            uid=self._obj.uid,
            phone_number=status.phone_number,
            purchase=status.purchase,
            owned=tuple(owned),
            unknown=await self._unknown(),
            claimed=self._claimed(),
            purchase_age_s=self._purchase_age_s(),
            reservation=reservation,
            purchasing_enabled=self._purchasing_enabled,
            wait_to_buy=self._wait_to_buy(await self._bought_unknown()),
        )

    async def _owned(self, reservation: Reservation | None) -> list[PurchasedNumber]:
        """Return what the resource owns.

        A list that is read page by page can miss one. Where the number of this object is not in it, and nothing else tells
        of it, it is asked for by itself before anything is concluded.
        """
        owned = await self._numbers.owned()
        status = self._obj.status
        own = status.phone_number or (status.purchase.phone_number if status.purchase and not reservation else None)
        if own is not None and all(number.phone_number != own for number in owned):
            missed = await self._numbers.owned_number(own)
            owned += [missed] if missed else []
        return owned

    async def _unknown(self) -> tuple[UnknownPurchase, ...]:
        """Return what others may have begun, where this object has begun nothing and would take it."""
        status = self._obj.status
        if status.phone_number or status.purchase or not adopts_what_turns_up(self._obj.spec):
            return ()
        return await unknown_purchases(self._numbers, await self._all(), self._known_reservations, self._clock())

    async def _bought_unknown(self) -> Collection[datetime]:
        """Return when was bought what only the provider can tell of, where this object may be bought for."""
        if not may_buy(self._obj.spec, self._obj.status):
            return ()
        if self._bought is None:
            self._bought = await bought_unknown(
                self._numbers, await self._all(), self._counted_reservations, self._clock()
            )
        return self._bought

    async def _all(self) -> list[Reservation]:
        if self._reservations is None:
            self._reservations = await self._numbers.reservations()
        return self._reservations

    def _purchase_age_s(self) -> float:
        purchase = self._obj.status.purchase
        return (self._clock() - purchase.started_at).total_seconds() if purchase else 0.0

    async def _take(self, step: Step) -> Situation | Progress:
        """Take one step; return what to wait for, or how it goes on."""
        match step:
            case Hold(number):
                await self._record(number, adopted=bool(self._obj.status.adopted))
                return "held"
            case Adopt(number):
                await self._record(number, adopted=True)
                return "held"
            case Intend(attempt, reservation_id):
                await self._intend(attempt, reservation_id)
                return "go on"
            case Reserve(reservation_id):
                return await self._reserve(reservation_id)
            case Buy(reservation_id, phone_number):
                wait = await self._buy(reservation_id, phone_number)
                if wait is not None:
                    return await self._take(waiting(wait))
                return await self._operation() or Situation(
                    "PurchaseSubmitted",
                    f"Communication Services is buying {phone_number}. Nobody has to act",
                    requeue_after_s=poll_pause_s(self._purchase_age_s()),
                )
            case Poll(reason, message) if self._obj.status.purchase is None:
                return Situation(reason, message, requeue_after_s=poll_pause_s(self._purchase_age_s()))
            case Poll(reason, message):
                return await self._operation() or Situation(
                    reason, message, requeue_after_s=poll_pause_s(self._purchase_age_s())
                )
            case Blocked(reason, message, stalled):
                warning = True if reason in _WARNED else None
                return Situation(reason, message, stalled=stalled, requeue_after_s=_BLOCKED_S, warning=warning)

    async def _record(self, number: PurchasedNumber, *, adopted: bool) -> None:
        """Write down the number at once: a restart must not look for another one."""
        old = self._obj.status
        purchase = old.purchase.model_copy(update={"state": PurchaseState.COMPLETED}) if old.purchase else None
        status = old.model_copy(
            update={
                "phone_number": number.phone_number,
                "monthly_cost": report.money(number.cost),
                "purchase_date": number.purchase_date,
                "adopted": adopted,
                "communication_services_endpoint": self._endpoint,
                "purchase": purchase,
            }
        )
        self._claims.of[self._obj.key] = number.phone_number
        if old.phone_number is None:
            done = f"{'adopted' if adopted else 'bought'} {number.phone_number}"
            if self._obj.spec.phone_number is None:
                done = f"{done}. {report.how_to_pin(number.phone_number)}"
            self._notes.append(Note("NumberAdopted" if adopted else "NumberPurchased", done))
            await self._hold(status)
        else:
            self._obj = self._obj.with_status(status)

    async def _hold(self, status: SmsNumberStatus) -> None:
        try:
            self._obj = await self._api.write_intent(self._obj, status)
        except ConflictError:
            # A write whose answer was lost conflicts with itself: the API server alone knows whether it holds.
            body = await self._api.read(self._obj.key)
            if body is None or body.get("status", {}).get("phoneNumber") != status.phone_number:
                self._claims.of.pop(self._obj.key, None)
            raise

    async def _intend(self, attempt: int, reservation_id: str) -> None:
        purchase = Purchase(
            attempt=attempt,
            reservation_id=reservation_id,
            object_uid=self._obj.uid,
            state=PurchaseState.INTENT,
            started_at=self._clock().replace(microsecond=0),
        )
        await self._write(purchase)

    async def _reserve(self, reservation_id: str) -> Situation | Progress:
        spec = self._obj.spec
        on_sale = await self._numbers.browse(spec.country_code, number_type(spec), capabilities(spec), spec.area_code)
        number = affordable(spec, on_sale)
        if number is None:
            return _nothing_on_sale(spec, on_sale)
        reservation = await self._numbers.reserve(reservation_id, number)
        if not reservation.held:
            return Situation(
                "NumberNotReserved",
                "the number was taken in between, and another one is tried. Nobody has to act",
                backoff=FREE,
            )
        await self._write(
            self._purchase.model_copy(
                update={"state": PurchaseState.RESERVED, "phone_number": reservation.held[0].phone_number}
            )
        )
        return "go on"

    async def _buy(self, reservation_id: str, phone_number: str) -> WaitToBuy | None:
        """Buy what is reserved; return what to wait for instead where others have used up the budget meanwhile."""
        # It counts from now on: an intent may have waited for days.
        now = self._clock().replace(microsecond=0)
        bought = await self._bought_unknown()
        # Nothing is awaited between the question and the mark: purchases in other resources go on beside this one.
        wait = self._wait_to_buy(bought)
        if wait is not None:
            return wait
        self._purchases.submitted(
            self._obj.uid, Spent(self._obj.key, self._endpoint, now, under_way=True, reservation_id=reservation_id)
        )
        submitted = {"state": PurchaseState.SUBMITTED, "phone_number": phone_number, "started_at": now}
        try:
            # Status says that the purchase was submitted before it is: after any doubt the reservation is asked.
            await self._write(self._purchase.model_copy(update=submitted))
            self._may_spend()
        except Exception:
            self._purchases.refused(self._obj.uid)  # nothing was sent; what was written counts by itself
            raise
        self._claims.of[self._obj.key] = phone_number
        try:
            operation_id = await self._numbers.purchase(reservation_id)
        except (RefusedError, TemporaryError) as exc:
            if _bought_nothing(exc):
                self._not_bought()
            raise
        purchase = self._purchase.model_copy(update={"operation_id": operation_id})
        self._obj = self._obj.with_status(self._obj.status.model_copy(update={"purchase": purchase}))
        return None

    def _not_bought(self) -> None:
        """Take back the word that a purchase is under way: it counts for no budget, and nobody has to wait for it."""
        purchase = self._purchase.model_copy(update={"state": PurchaseState.RESERVED})
        self._obj = self._obj.with_status(self._obj.status.model_copy(update={"purchase": purchase}))
        self._purchases.refused(self._obj.uid)

    async def _operation(self) -> Situation | None:
        """Return the situation when the purchase operation is known to have failed."""
        operation_id = self._purchase.operation_id
        operation = await self._numbers.operation(operation_id) if operation_id else None
        if operation is None or operation.status.lower() != "failed":
            return None
        self._not_bought()
        code = operation.error.code if operation.error else "no reason given"
        return Situation(
            "PurchaseFailed",
            f"Communication Services could not buy {self._purchase.phone_number} ({code}); another attempt follows once its"
            " reservation has expired. Azure, if it stays: ask support with this code",
            backoff=PAID,
        )

    @property
    def _purchase(self) -> Purchase:
        purchase = self._obj.status.purchase
        if purchase is None:
            raise AssertionError("a purchase goes on only after its intent was written")
        return purchase

    async def _write(self, purchase: Purchase) -> None:
        status = self._obj.status.model_copy(
            update={"purchase": purchase, "communication_services_endpoint": self._endpoint}
        )
        self._obj = await self._api.write_intent(self._obj, status)


def _bought_nothing(error: RefusedError | TemporaryError) -> bool:
    """Return whether the answer leaves no doubt. A conflict does: an earlier call, whose answer was lost, may have bought."""
    if isinstance(error, RefusedError):
        return error.status != HTTPStatus.CONFLICT
    return not error.ambiguous


def situation_of(error: RefusedError) -> Situation:
    """Return what a refusal by the provider means, and who can mend it."""
    if error.status in {401, 403}:
        return Situation(
            "AccessDenied",
            f"Communication Services refused the operator ({error.operation}, {error.detail}). Platform team: give its"
            " workload identity a role on the resource with the actions Read and Write",
            backoff=PAID,
        )
    if "quota" in error.code.lower() or "limit" in error.code.lower():
        return Situation(
            "QuotaReached",
            f"the quota of Communication Services is used up ({error.detail}). Azure: ask support for a larger one;"
            " author: or adopt a number that is owned",
            backoff=PAID,
        )
    if error.status == HTTPStatus.CONFLICT:
        return Situation(
            "ReservationChanged",
            f"the reservation ran out or was used in between ({error.operation}), and it is asked what became of"
            " it. Nobody has to act",
            backoff=FREE,
        )
    return Situation(
        "ProviderRefused",
        f"Communication Services refused ({error.operation}, {error.detail}). Author: compare spec with what"
        " the resource's country and subscription offer",
        backoff=PAID,
    )


def _nothing_on_sale(spec: SmsNumberSpec, on_sale: list[AvailableNumber]) -> Situation:
    if on_sale and spec.max_monthly_cost:
        limit = spec.max_monthly_cost
        return Situation(
            "TooExpensive",
            f"every number on sale costs more than maxMonthlyCost ({limit.amount} {limit.currency}). Author: raise it",
            backoff=PAID,
        )
    return Situation(
        "OutOfStock",
        "no number on sale matches countryCode, numberType, areaCode and capabilities. If it stays, author: ask for less, for"
        " example no areaCode",
        backoff=PAID,
    )
