"""How much may be spent: one purchase at a time in a resource, so many a day in a namespace and an hour in all.

What was spent is read from the status of the objects, so it is known after a restart and to a new leader.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ehr_api.v1alpha1.sms_number import PurchaseState, SmsNumberStatus
from ehr_operator.remotes import origin
from ehr_operator.runtime.model import Body, Key, Objects
from ehr_operator.views import NUMBER, key_of

_SPENT = frozenset({PurchaseState.SUBMITTED, PurchaseState.COMPLETED})


_IN_FLIGHT = timedelta(hours=2)
"""A purchase that has not ended by then may never do so: the others go on without it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be bought; None: any number."""

    namespace_a_day: int | None = None
    operator_an_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """One purchase as a status tells it."""

    by: Key
    endpoint: str
    started_at: datetime
    under_way: bool
    reservation_id: str = ""


@dataclass(frozen=True, slots=True)
class WaitToBuy:
    """Why nothing may be bought now."""

    reason: str
    message: str
    soon: bool = False
    """Whether it is over in a moment."""


class Purchases:
    """Every purchase that counts: those that the objects tell of, and those of this process that no object tells of.

    The latter are about to be written into status, or were for objects that are gone: so an object that is deleted with
    its number and created again, time after time, cannot spend without end. A restart forgets them; then the provider's
    list of reservations tells of those in its resource.
    """

    def __init__(self) -> None:
        self._submitted: dict[str, Spent] = {}

    def submitted(self, uid: str, purchase: Spent) -> None:
        """Remember what is being bought for the object of this uid, from the moment of the decision on."""
        self._submitted[uid] = purchase

    def refused(self, uid: str) -> None:
        """Forget it: the provider has bought nothing."""
        self._submitted.pop(uid, None)

    @property
    def reservations(self) -> set[str]:
        """Return the ids of the reservations that this process has bought."""
        return {one.reservation_id for one in self._submitted.values()}

    def besides(self, objects: Objects, own: Body, now: datetime) -> list[Spent]:
        """Return all purchases but those for this very object."""
        self._submitted = {uid: one for uid, one in self._submitted.items() if now - one.started_at < timedelta(days=1)}
        others = [body for body in objects.list(NUMBER, "") if key_of(NUMBER, body) != key_of(NUMBER, own)]
        told = {body["metadata"]["uid"]: spent for body in others if (spent := _spent(body)) is not None}
        untold = self._submitted.keys() - told.keys() - {own["metadata"]["uid"]}
        return [*told.values(), *(replace(self._submitted[uid], under_way=False) for uid in untold)]


def _spent(body: Body) -> Spent | None:
    status = SmsNumberStatus.model_validate(body.get("status", {}))
    if status.purchase is None or status.purchase.state not in _SPENT:
        return None
    endpoint = status.communication_services_endpoint or ""
    return Spent(key_of(NUMBER, body), endpoint, status.purchase.started_at, status.phone_number is None)


def reason_to_wait(purchases: list[Spent], own: Key, endpoint: str, budget: Budget, now: datetime) -> WaitToBuy | None:
    """Return why nothing may be bought now, if so. Pure."""
    for one in purchases:
        in_flight = one.under_way and now - one.started_at < _IN_FLIGHT
        if in_flight and origin(one.endpoint) == origin(endpoint):
            return WaitToBuy(
                "PurchaseOfAnother",
                f"the SmsNumber '{one.by.namespace}/{one.by.name}' is being bought in the same Communication Services"
                " resource: one at a time. Nobody has to act",
                soon=True,
            )
    day = [one for one in purchases if one.by.namespace == own.namespace and now - one.started_at < timedelta(days=1)]
    if budget.namespace_a_day is not None and len(day) >= budget.namespace_a_day:
        return WaitToBuy(
            "BudgetReached",
            f"{budget.namespace_a_day} numbers were bought in this namespace within a day, also for objects that are gone. Platform team: raise"
            " EHR_OPERATOR_PURCHASES_PER_NAMESPACE_AND_DAY, or wait",
        )
    hour = [one for one in purchases if now - one.started_at < timedelta(hours=1)]
    if budget.operator_an_hour is not None and len(hour) >= budget.operator_an_hour:
        return WaitToBuy(
            "BudgetReached",
            f"{budget.operator_an_hour} numbers were bought by this operator within an hour, also for objects that are gone. Platform team: raise"
            " EHR_OPERATOR_PURCHASES_PER_HOUR, or wait",
        )
    return None
