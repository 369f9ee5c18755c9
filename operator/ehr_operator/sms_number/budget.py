"""How much may be spent: one purchase at a time in a resource, so many a day in a namespace and an hour in all.

What was spent is read from the status of the objects, so it is known after a restart and to a new leader; a number whose
object was deleted is not counted any more.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class WaitToBuy:
    """Why nothing may be bought now."""

    reason: str
    message: str
    soon: bool = False
    """Whether it is over in a moment."""


def spent(objects: Objects, own: Body) -> list[Spent]:
    """Return the purchases of all other SmsNumbers."""
    found: list[Spent] = []
    for body in objects.list(NUMBER, ""):
        key = key_of(NUMBER, body)
        status = SmsNumberStatus.model_validate(body.get("status", {}))
        if key == key_of(NUMBER, own) or status.purchase is None or status.purchase.state not in _SPENT:
            continue
        endpoint = status.communication_services_endpoint or ""
        under_way = status.phone_number is None
        found.append(Spent(key, endpoint, status.purchase.started_at, under_way))
    return found


def reason_to_wait(purchases: list[Spent], own: Key, endpoint: str, budget: Budget, now: datetime) -> WaitToBuy | None:
    """Return why nothing may be bought now, if so. Pure."""
    for one in purchases:
        in_flight = one.under_way and now - one.started_at < _IN_FLIGHT
        if in_flight and origin(one.endpoint) == origin(endpoint):
            return WaitToBuy(
                "PurchaseOfAnother",
                f"the SmsNumber '{one.by.namespace}/{one.by.name}' is being bought in the same Communication Services"
                " resource: one at a time",
                soon=True,
            )
    day = [one for one in purchases if one.by.namespace == own.namespace and now - one.started_at < timedelta(days=1)]
    if budget.namespace_a_day is not None and len(day) >= budget.namespace_a_day:
        return WaitToBuy(
            "BudgetReached",
            f"{budget.namespace_a_day} numbers were bought in this namespace within a day: wait, or let the platform team raise"
            " EHR_OPERATOR_PURCHASES_PER_NAMESPACE_AND_DAY",
        )
    hour = [one for one in purchases if now - one.started_at < timedelta(hours=1)]
    if budget.operator_an_hour is not None and len(hour) >= budget.operator_an_hour:
        return WaitToBuy(
            "BudgetReached",
            f"{budget.operator_an_hour} numbers were bought by this operator within an hour: wait, or let the platform team"
            " raise EHR_OPERATOR_PURCHASES_PER_HOUR",
        )
    return None
