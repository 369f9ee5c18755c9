"""What others do between two steps of ours: a number is sold, a hold runs out. Nothing is lost but that number."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.sms_number.world import Blow, World

from ehr_operator.runtime.model import FREE, Finalized, Outcome, State

OWNED = "+18445550101"
AREA = [f"+183355501{line:02d}" for line in range(100)]
"""The numbers that the area 833 can have."""
BEFORE_THE_PURCHASE = 9
"""The moment of the first pass that is the purchase itself."""


async def test_a_number_that_was_sold_between_browse_and_reserve_is_followed_by_another_one(world: World) -> None:
    key = world.add(spec={"areaCode": "833"})

    async def sell() -> None:
        await world.control("POST", "state", {"sell": AREA})

    world.fate.meanwhile[":browse"] = sell
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "NumberNotReserved")
    assert outcome.failure is not None
    assert outcome.failure.backoff is FREE
    assert await world.requests("POST", ":purchase") == 0

    await world.control("POST", "state", {"restock": AREA[-1:]})
    assert await world.until_held(key) == AREA[-1]
    await world.ends_with_one(key)


async def test_a_number_that_was_sold_between_reserve_and_purchase_is_followed_by_another_attempt() -> None:
    world = World(behaviour={"operation_seconds": 30})
    key = world.add()
    await world.reconcile(key)
    purchase = world.status(key).purchase
    assert purchase is not None
    await world.control("POST", "state", {"sell": [purchase.phone_number]})

    held = await world.until_held(key)

    assert held != purchase.phone_number
    await world.ends_with_one(key)
    followed = world.status(key).purchase
    assert followed is not None
    assert followed.attempt == 2


async def test_a_hold_that_runs_out_right_before_the_purchase_is_replaced_and_one_number_is_bought(
    world: World,
) -> None:
    key = world.add()
    await world.reconcile(key, (BEFORE_THE_PURCHASE, Blow.DIE_BEFORE))
    assert await world.requests("POST", ":purchase") == 0

    async def run_out() -> None:
        world.clock.advance(1000)

    world.fate.meanwhile["/phoneNumbers"] = run_out  # the last question before the purchase
    outcome = await world.reconcile(key)

    assert outcome is not None
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "ReservationChanged")
    assert await world.purchases() == []
    await world.ends_with_one(key)


async def test_with_the_kill_switch_on_all_but_the_purchase_goes_on(world: World) -> None:
    bought = world.add("bought", spec={"deletionPolicy": "Release", "areaCode": "833"})
    await world.until_held(bought)
    world.purchasing_enabled = False
    world.restart()
    await world.control("POST", "state", {"own": [OWNED]})

    assert await world.until_held(bought), "looks on"
    assert await world.until_held(world.add("adopts")) == OWNED
    refused = await world.reconcile(world.add("buys", spec={"acquire": "Purchase"}))
    assert refused is not None
    assert refused.reason == "PurchasingDisabled"
    assert isinstance(await world.finalize(bought), Outcome), "releases"
    assert isinstance(await world.finalize(bought), Finalized)
    assert (await world.control("GET", "state"))["owned"] == [OWNED]
    assert len(await world.purchases()) == 1


@pytest.mark.parametrize("behaviour", [{"operation_seconds": 60}, {"listing_delay_s": 600}])
async def test_a_purchase_that_was_submitted_before_the_kill_switch_is_still_recorded(
    behaviour: dict[str, Any],
) -> None:
    world = World(behaviour=behaviour)
    key = world.add()
    await world.reconcile(key)
    world.purchasing_enabled = False
    world.restart()
    await world.ends_with_one(key)
