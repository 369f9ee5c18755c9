"""What may be spent: one purchase at a time in a resource, so many a day in a namespace and an hour in all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from unit.operator.sms_number.world import World

from ehr_operator.runtime.model import Key, State
from ehr_operator.sms_number.budget import Budget, Spent, reason_to_wait

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OWN = Key("SmsNumber", "lamna", "own")
ACS, OTHER_ACS = "https://acs.lamna.example", "https://acs.other.example"


def purchase(minutes_ago: float, *, namespace: str = "lamna", endpoint: str = ACS, under_way: bool = False) -> Spent:
    key = Key("SmsNumber", namespace, f"number-{minutes_ago:g}")
    return Spent(key, endpoint, NOW - timedelta(minutes=minutes_ago), under_way)


@pytest.mark.parametrize(
    ("purchases", "budget", "words"),
    [
        ([], Budget(0, None), "EHR_OPERATOR_PURCHASES_PER_NAMESPACE_AND_DAY"),
        ([], Budget(None, 0), "EHR_OPERATOR_PURCHASES_PER_HOUR"),
        ([], Budget(1, 1), None),
        ([purchase(30)], Budget(2, 2), None),
        ([purchase(30), purchase(23 * 60)], Budget(2, 2), "2 numbers were bought in this namespace"),
        ([purchase(30), purchase(24 * 60)], Budget(2, 2), None),
        ([purchase(30, namespace="other"), purchase(59)], Budget(2, 2), "2 numbers were bought by this operator"),
        ([purchase(30, namespace="other"), purchase(60)], Budget(2, 2), None),
        ([purchase(1, under_way=True)], Budget(), "'lamna/number-1' is being bought in the same"),
        ([purchase(1, under_way=True, endpoint=OTHER_ACS)], Budget(), None),
        ([purchase(1, under_way=True, endpoint="https://ACS.lamna.example:443/")], Budget(), "one at a time"),
    ],
)
def test_a_purchase_waits_for_its_turn_and_for_the_budget(
    purchases: list[Spent], budget: Budget, words: str | None
) -> None:
    wait = reason_to_wait(purchases, OWN, ACS, budget, NOW)

    assert (wait is None) is (words is None)
    assert wait is None or (words or "") in wait.message


async def test_while_one_number_is_bought_the_next_waits_and_then_is_bought_too() -> None:
    world = World(behaviour={"operation_seconds": 30})
    first, second = world.add("first"), world.add("second")
    await world.reconcile(first)
    world.api.relist()

    waiting = await world.reconcile(second)

    assert waiting is not None
    assert (waiting.state, waiting.reason) == (State.RECONCILING, "PurchaseOfAnother")
    assert "lamna/first" in waiting.message
    assert waiting.requeue_after_s is not None
    assert waiting.requeue_after_s < 60
    assert await world.until_held(first) != await world.until_held(second)


async def test_a_budget_that_is_used_up_stops_purchases_also_after_a_restart_and_adoption_goes_on() -> None:
    world = World(budget=Budget(namespace_a_day=1))
    first, second = world.add("first"), world.add("second")
    await world.until_held(first)
    world.restart()

    refused = await world.reconcile(second)

    assert refused is not None
    assert (refused.state, refused.reason) == (State.RECONCILING, "BudgetReached")
    assert len(await world.purchases()) == 1
    await world.control("POST", "state", {"own": ["+18335550199"]})
    assert await world.until_held(second) == "+18335550199"


async def test_a_day_later_the_budget_is_there_again() -> None:
    world = World(budget=Budget(namespace_a_day=1))
    first, second = world.add("first"), world.add("second")
    await world.until_held(first)
    assert (outcome := await world.reconcile(second)) is not None
    assert outcome.reason == "BudgetReached"

    world.clock.advance(24 * 3600.0)

    assert await world.until_held(second)
