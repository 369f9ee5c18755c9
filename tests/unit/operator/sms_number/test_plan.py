"""What is done next for a phone number, as a table: what is wanted and known goes in, one step comes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from unit.operator.conftest import START, number_spec

from ehr_api.v1alpha1.sms_number import Purchase, PurchaseState, SmsNumberSpec
from ehr_clients.acs_numbers import ApiErrorBody, AvailableNumber, Capabilities, Cost, PurchasedNumber, Reservation
from ehr_operator.sms_number.plan import (
    Adopt,
    Blocked,
    Buy,
    Hold,
    Intend,
    Observed,
    Poll,
    Reserve,
    affordable,
    plan,
    reservation_id,
)

UID = "0c7c1c9e-6d5e-4f39-93a8-6c5b1f0a7e11"
X, Y = "+18335550101", "+18445550102"
TEXTS = Capabilities(calling="none", sms="inbound+outbound")


def spec(**changes: Any) -> SmsNumberSpec:
    return SmsNumberSpec.model_validate(number_spec(**changes))


def owned(phone_number: str, **changes: Any) -> PurchasedNumber:
    number = PurchasedNumber(
        phone_number=phone_number,
        country_code="US",
        phone_number_type="tollFree",
        capabilities=Capabilities(calling="inbound+outbound", sms="inbound+outbound"),
        purchase_date=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return number.model_copy(update=changes)


def purchase(phone_number: str | None = None, *, attempt: int = 1, uid: str = UID) -> Purchase:
    return Purchase(
        attempt=attempt,
        reservation_id=reservation_id(uid, attempt),
        object_uid=uid,
        state=PurchaseState.RESERVED if phone_number else PurchaseState.INTENT,
        phone_number=phone_number,
        started_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def on_sale(
    phone_number: str, *, status: str = "reserved", cost: float = 2.0, currency: str = "USD"
) -> AvailableNumber:
    return AvailableNumber(
        id=phone_number.lstrip("+"),
        phone_number=phone_number,
        country_code="US",
        phone_number_type="tollFree",
        assignment_type="application",
        capabilities=TEXTS,
        cost=Cost(amount=cost, currency_code=currency),
        status=status,
        error=ApiErrorBody(code="FailedToReserveNumber") if status == "error" else None,
    )


def reservation(status: Any, *numbers: AvailableNumber) -> Reservation:
    return Reservation(
        id=reservation_id(UID, 1), status=status, phone_numbers={number.id: number for number in numbers}
    )


def observed(**known: Any) -> Observed:
    return Observed(**{"uid": UID, "phone_number": None, "purchase": None, "owned": (), **known})


INTENT = Intend(1, reservation_id(UID, 1))
NEXT = Intend(2, reservation_id(UID, 2))
RESERVE = Reserve(reservation_id(UID, 1))
BUY = Buy(reservation_id(UID, 1), X)


@pytest.mark.parametrize(
    ("wanted", "known", "step"),
    [
        pytest.param({}, {}, INTENT, id="nothing owned: the intent comes before everything that costs"),
        pytest.param({}, {"owned": (owned(X),)}, Adopt(owned(X)), id="an owned number that matches is adopted"),
        pytest.param(
            {},
            {"owned": (owned(X),), "claimed": {X: "lamna/other"}},
            INTENT,
            id="a number of somebody else is left alone",
        ),
        pytest.param({"acquire": "Purchase"}, {"owned": (owned(X),)}, INTENT, id="Purchase adopts nothing"),
        pytest.param(
            {"acquire": "Adopt"}, {"owned": (owned(X),)}, Adopt(owned(X)), id="Adopt takes an owned number that matches"
        ),
        pytest.param(
            {"phoneNumber": Y}, {"owned": (owned(X), owned(Y))}, Adopt(owned(Y)), id="a pin takes that very number"
        ),
        pytest.param({"areaCode": "844"}, {"owned": (owned(X),)}, INTENT, id="another area code does not match"),
        pytest.param(
            {"areaCode": "833"}, {"owned": (owned(X),)}, Adopt(owned(X)), id="the area code is compared without +1"
        ),
        pytest.param(
            {},
            {"owned": (owned(X, capabilities=Capabilities(calling="none", sms="outbound")),)},
            INTENT,
            id="a number that cannot receive texts does not match",
        ),
        pytest.param(
            {}, {"owned": (owned(X, phone_number_type="geographic"),)}, INTENT, id="another type does not match"
        ),
        pytest.param({}, {"owned": (owned(X, country_code="CA"),)}, INTENT, id="another country does not match"),
        pytest.param({}, {"phone_number": X, "owned": (owned(X),)}, Hold(owned(X)), id="a held number is held on"),
        pytest.param({}, {"purchase": purchase()}, RESERVE, id="an intent whose first call was lost is reserved"),
        pytest.param(
            {}, {"purchase": purchase(), "reservation": reservation("active")}, RESERVE, id="an empty hold is filled"
        ),
        pytest.param(
            {},
            {"purchase": purchase(), "reservation": reservation("active", on_sale(X, status="error"))},
            RESERVE,
            id="a number that was taken in between is replaced",
        ),
        pytest.param(
            {},
            {"purchase": purchase(X), "owned": (owned(X),), "reservation": reservation("expired", on_sale(X))},
            Adopt(owned(X)),
            id="after the hold expired, its number is like any other that is owned",
        ),
        pytest.param(
            {},
            {"purchase": purchase(X), "reservation": reservation("completed", on_sale(X, status="error"))},
            NEXT,
            id="a purchase that failed is followed by the next attempt",
        ),
        pytest.param(
            {}, {"purchase": purchase(X), "reservation": reservation("active", on_sale(X))}, BUY, id="a hold is bought"
        ),
        pytest.param(
            {},
            {"purchase": purchase(), "reservation": reservation("active", on_sale(X))},
            BUY,
            id="a hold whose answer was lost is bought, not made again",
        ),
        pytest.param(
            {},
            {"purchase": purchase(X), "reservation": reservation("active", on_sale(X), on_sale(Y))},
            NEXT,
            id="a hold on two numbers is never bought",
        ),
        pytest.param(
            {"areaCode": "844"},
            {"purchase": purchase(X), "reservation": reservation("active", on_sale(X))},
            NEXT,
            id="a hold on a number of another area than the spec by now names is not bought",
        ),
        pytest.param(
            {"capabilities": {"calling": "Inbound"}},
            {"purchase": purchase(X), "reservation": reservation("active", on_sale(X))},
            NEXT,
            id="a hold on a number that cannot do what the spec by now asks for is not bought",
        ),
        pytest.param(
            {},
            {"purchase": purchase(X), "reservation": reservation("expired", on_sale(X, status="expired"))},
            NEXT,
            id="an expired hold is followed by the next attempt",
        ),
        pytest.param(
            {},
            {
                "purchase": purchase(X),
                "reservation": reservation("completed", on_sale(X, status="purchased")),
                "owned": (owned(X),),
            },
            Hold(owned(X)),
            id="a completed purchase is held",
        ),
        pytest.param(
            {},
            {"purchase": purchase(X), "owned": (owned(X),)},
            Hold(owned(X)),
            id="a purchase whose reservation is forgotten is found among the owned numbers",
        ),
        pytest.param(
            {}, {"purchase": purchase(X)}, NEXT, id="a forgotten reservation that bought nothing is followed by another"
        ),
        pytest.param(
            {},
            {"purchase": purchase(X, uid="another-uid"), "reservation": reservation("expired")},
            INTENT,
            id="an intent copied from another object starts at this object's first attempt",
        ),
    ],
)
def test_the_next_step_follows_from_what_is_wanted_and_known(wanted: Any, known: Any, step: Any) -> None:
    assert plan(spec(**wanted), observed(**known)) == step


@pytest.mark.parametrize(
    ("wanted", "known", "reason", "stalled"),
    [
        pytest.param({}, {"phone_number": X}, "NumberNotOwned", True, id="a lost number is not bought again"),
        pytest.param(
            {"maxMonthlyCost": {"amount": "0.50", "currency": "USD"}},
            {"purchase": purchase(X), "reservation": reservation("active", on_sale(X))},
            "TooExpensive",
            False,
            id="a hold that costs more than is allowed by now is not bought",
        ),
        pytest.param(
            {"phoneNumber": X},
            {"claimed": {X: "lamna/other"}, "owned": (owned(X),)},
            "AlreadyClaimed",
            True,
            id="a pin held elsewhere",
        ),
        pytest.param({"phoneNumber": X}, {}, "PinnedNumberNotOwned", False, id="a pin that is not owned"),
        pytest.param({"acquire": "Adopt"}, {}, "NoNumberToAdopt", False, id="nothing to adopt"),
        pytest.param({}, {"purchasing_enabled": False}, "PurchasingDisabled", False, id="no intent when switched off"),
        pytest.param(
            {},
            {
                "purchasing_enabled": False,
                "purchase": purchase(X),
                "reservation": reservation("active", on_sale(X)),
            },
            "PurchasingDisabled",
            False,
            id="a hold is not bought when switched off",
        ),
        pytest.param(
            {},
            {"purchasing_enabled": False, "purchase": purchase(X), "reservation": reservation("expired")},
            "PurchasingDisabled",
            False,
            id="no next attempt when switched off",
        ),
    ],
)
def test_what_cannot_go_on_says_why_and_whether_somebody_must_act(
    wanted: Any, known: Any, reason: str, stalled: bool
) -> None:
    step = plan(spec(**wanted), observed(**known))
    assert isinstance(step, Blocked)
    assert (step.reason, step.stalled) == (reason, stalled)
    assert len(step.message) > 40, "a message names the remedy"


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"reservation": reservation("submitted", on_sale(X))}, "PurchaseSubmitted"),
        ({"reservation": reservation("completed", on_sale(X, status="purchased"))}, "AwaitingListing"),
    ],
)
def test_a_purchase_under_way_is_waited_for_and_never_repeated(known: Any, reason: str) -> None:
    step = plan(spec(), observed(purchase=purchase(X), **known))
    assert isinstance(step, Poll)
    assert step.reason == reason


def test_of_several_owned_numbers_the_one_that_patients_know_the_longest_is_adopted() -> None:
    younger, elder = owned(X), owned(Y, purchase_date=datetime(2025, 1, 1, tzinfo=UTC))
    assert plan(spec(), observed(owned=(younger, elder))) == Adopt(elder)


def test_purchases_that_are_switched_off_leave_adoption_working() -> None:
    assert plan(spec(), observed(owned=(owned(X),), purchasing_enabled=False)) == Adopt(owned(X))


def test_a_reservation_id_follows_from_object_and_attempt_alone() -> None:
    ids = {reservation_id(uid, attempt) for uid in (UID, "another") for attempt in (1, 2, 3)}
    assert len(ids) == 6
    assert all(UUID(one).version == 5 for one in ids)
    # Written out: were it to change, every purchase under way would be made again.
    assert reservation_id(UID, 1) == "4139e9e8-a862-5872-bff1-b69a2a10a4aa"


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [
        (None, X),
        ({"amount": "2.00", "currency": "USD"}, Y),
        ({"amount": "1.99", "currency": "USD"}, None),
        ({"amount": "9.00", "currency": "EUR"}, None),
    ],
)
def test_the_first_number_within_the_limit_is_chosen(limit: Any, chosen: str | None) -> None:
    found = affordable(spec(maxMonthlyCost=limit), [on_sale(X, cost=3.0), on_sale(Y, cost=2.0)])
    assert (found.phone_number if found else None) == chosen


def test_a_number_on_sale_that_does_not_match_is_not_reserved() -> None:
    assert affordable(spec(areaCode="844"), [on_sale(X)]) is None
    assert affordable(spec(areaCode="844"), [on_sale(X), on_sale(Y)]) == on_sale(Y)


def test_a_number_without_a_price_is_not_bought_under_a_limit() -> None:
    free = on_sale(X).model_copy(update={"cost": None})
    assert affordable(spec(maxMonthlyCost={"amount": "9.00", "currency": "USD"}), [free]) is None
    assert affordable(spec(), [free]) == free


def test_equal_knowledge_gives_the_same_step_whatever_the_order_of_the_owned_list() -> None:
    numbers = tuple(owned(f"+1833555{n:04}", purchase_date=START - timedelta(days=n % 3)) for n in range(6))
    steps = {str(plan(spec(), observed(owned=order))) for order in (numbers, numbers[::-1], numbers[3:] + numbers[:3])}
    assert len(steps) == 1
