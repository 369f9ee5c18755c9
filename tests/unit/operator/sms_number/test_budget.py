"""What may be spent: one purchase at a time in a resource, so many a day in a namespace and an hour in all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from unit.operator.conftest import config_body
from unit.operator.sms_number.world import Blow, World

from ehr_api.v1alpha1.sms_number import PurchaseState
from ehr_operator.runtime.model import Finalized, Key, State
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
    assert (refused.state, refused.reason, refused.warning) == (State.RECONCILING, "BudgetReached", True)
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


@pytest.mark.parametrize("restarts", ["never", "each time", "before each deletion"])
async def test_an_object_that_is_released_and_created_again_and_again_spends_no_more_than_the_budget(
    restarts: str,
) -> None:
    world = World(budget=Budget(namespace_a_day=2))
    for _ in range(2):
        spec = {"acquire": "Purchase", "deletionPolicy": "Release"}
        key = world.add(spec=spec, uid=f"uid-{world.clock().timestamp()}")
        await world.until_held(key)
        if restarts == "before each deletion":
            world.restart()
        for _ in range(3):
            if isinstance(await world.finalize(key), Finalized):
                break
            world.clock.advance(5)
        if restarts == "each time":
            world.restart()

    refused = await world.reconcile(world.add(spec={"acquire": "Purchase"}, uid="the-third"))

    assert refused is not None
    assert refused.reason == "BudgetReached"
    assert len(await world.purchases()) == 2
    world.clock.advance(24 * 3600.0)
    assert await world.until_held(Key("SmsNumber", "lamna", "lamna-sms"))


async def test_a_reservation_of_an_object_that_is_gone_and_brought_no_number_counts_for_no_budget() -> None:
    world = World(budget=Budget(namespace_a_day=1))
    key = world.add("gone")
    await world.control("POST", "state", {"fail_operations": [{"operation_type": "reservationPurchase"}]})
    failed = await world.reconcile(key)
    assert failed is not None
    assert failed.reason == "PurchaseFailed"
    world.api.remove(key)
    world.restart()

    assert await world.until_held(world.add("following"))


@pytest.mark.parametrize("status", [400, 403, 429])
async def test_a_purchase_that_was_refused_counts_for_no_budget_and_keeps_nobody_waiting(status: int) -> None:
    world = World(budget=Budget(namespace_a_day=1))
    first, second = world.add("first"), world.add("second")
    await world.control("PUT", "faults", [{"action": "status", "status": status, "path": ":purchase"}])
    refused = await world.reconcile(first)
    assert refused is not None
    assert refused.failure is not None

    assert await world.until_held(second)
    assert len(await world.purchases()) == 1


async def test_a_purchase_that_the_provider_failed_keeps_nobody_waiting() -> None:
    world = World()
    first, second = world.add("first"), world.add("second")
    await world.control("POST", "state", {"fail_operations": [{"operation_type": "reservationPurchase"}]})
    failed = await world.reconcile(first)
    assert failed is not None
    assert failed.reason == "PurchaseFailed"

    await world.until_held(second)
    await world.until_held(first)
    assert len(await world.purchases()) == 2


@pytest.mark.parametrize("status", [409, 500, 503])
async def test_a_purchase_in_doubt_stands_as_submitted(status: int) -> None:
    world = World()
    key = world.add()
    await world.control("PUT", "faults", [{"action": "status", "status": status, "path": ":purchase"}])
    await world.reconcile(key)
    purchase = world.status(key).purchase
    assert purchase is not None
    assert purchase.state is PurchaseState.SUBMITTED
    await world.ends_with_one(key)


@pytest.mark.parametrize(
    "budget", [Budget(namespace_a_day=1), Budget(operator_an_hour=1)], ids=["namespace", "operator"]
)
async def test_purchases_in_several_resources_at_the_same_moment_keep_within_the_budget(budget: Budget) -> None:
    world = World(budget=budget)
    keys: list[Key] = []
    for one in range(6):
        endpoint = {"communicationServices": {"endpoint": f"https://acs-{one}.communication.azure.com"}}
        world.api.put(config_body(f"organisation-{one}", spec=endpoint))
        spec = {"configRef": {"name": f"organisation-{one}"}, "acquire": "Purchase"}
        keys.append(world.add(f"number-{one}", spec=spec))

    outcomes = await asyncio.gather(*(world.kind.reconcile(world.api.object(world.kind, key)) for key in keys))

    assert len(await world.purchases()) == 1
    assert sorted(outcome.reason for outcome in outcomes) == [*["BudgetReached"] * 5, "PurchaseSubmitted"]


async def test_a_purchase_whose_intent_was_not_written_counts_for_no_budget() -> None:
    world = World(budget=Budget(operator_an_hour=1))
    first, second = world.add("first"), world.add("second")
    intent_to_buy = 11
    assert await world.reconcile(first, (intent_to_buy, Blow.LOSE_ANSWER)) is None
    assert (purchase := world.status(first).purchase) is not None
    assert purchase.state is PurchaseState.RESERVED
    assert world.fate.moments == intent_to_buy

    assert await world.until_held(second)
