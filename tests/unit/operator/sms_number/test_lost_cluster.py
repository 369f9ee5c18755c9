"""The cluster is lost while a number is being bought; the object that Git makes anew knows nothing of it, and buys none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from unit.operator.conftest import finding, number_body
from unit.operator.sms_number.world import World

from ehr_api.conditions import Type
from ehr_operator.runtime.model import Key, Outcome, State

_NAME = "lamna-sms"


async def lose_cluster(world: World, key: Key, **spec: Any) -> Key:
    """Take the object away with all that it knew, and start anew from Git."""
    world.api.remove(key)
    again = world.api.put(number_body(_NAME, uid="the-uid-after", spec=spec))
    world.restart()
    return again


async def submitted(world: World) -> Key:
    """Come as far as a purchase that goes on at the provider."""
    key = world.add(_NAME)
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert outcome.reason == "PurchaseSubmitted"
    return key


async def test_an_object_made_anew_waits_for_the_purchase_of_the_lost_one_and_adopts_its_number(
    start: Callable[..., World],
) -> None:
    world = start(behaviour={"operation_seconds": 60, "listing_delay_s": 120})
    again = await lose_cluster(world, await submitted(world))

    reasons: list[str] = []

    def held(outcome: Outcome[Any]) -> bool:
        reasons.append(outcome.reason)
        return outcome.state is State.READY

    outcome = await world.until(again, held)

    (bought,) = await world.purchases()
    assert (outcome.status.phone_number, outcome.status.adopted) == (bought["phoneNumber"], True)
    assert set(reasons) == {"UnknownPurchase", "NumberHeld"}
    assert len(reasons) > 20, "it is asked every few seconds, while it is bought and while it is not listed yet"


async def test_the_condition_names_the_reservation_and_when_it_is_looked_at_again(start: Callable[..., World]) -> None:
    world = start(behaviour={"operation_seconds": 60})
    lost = await submitted(world)
    reservation = world.status(lost).purchase
    assert reservation is not None

    outcome = await world.reconcile(await lose_cluster(world, lost))

    assert outcome is not None
    assert (outcome.state, outcome.requeue_after_s) == (State.RECONCILING, 5.0)
    provisioned = finding(outcome, Type.PROVISIONED)
    assert (provisioned.status, provisioned.reason) == ("False", "UnknownPurchase")
    assert reservation.reservation_id in provisioned.message


async def test_an_operator_that_lives_through_the_loss_waits_too(start: Callable[..., World]) -> None:
    world = start(behaviour={"operation_seconds": 60})
    lost = await submitted(world)
    world.api.remove(lost)
    again = world.api.put(number_body(_NAME, uid="the-uid-after"))

    await world.until_held(again)

    assert len(await world.purchases()) == 1


async def test_a_purchase_that_the_provider_failed_is_not_waited_for(start: Callable[..., World]) -> None:
    world = start(behaviour={"operation_seconds": 60})
    await world.control("POST", "state", {"fail_operations": [{"operation_type": "reservationPurchase"}]})
    again = await lose_cluster(world, await submitted(world))

    held = await world.until_held(again)

    assert [entry["phoneNumber"] for entry in await world.purchases()] == [held]


async def test_a_purchase_that_never_ends_is_waited_for_until_two_hours_after_its_hold(
    start: Callable[..., World],
) -> None:
    world = start(behaviour={"operation_seconds": 90 * 24 * 3600})
    again = await lose_cluster(world, await submitted(world))
    await world.control("PATCH", "settings", {"operation_seconds": 0})
    began = world.clock()
    world.clock.advance(20 * 60)

    waiting = await world.reconcile(again)
    assert waiting is not None
    assert (waiting.reason, waiting.requeue_after_s) == ("UnknownPurchase", 600.0)
    assert "Azure: ask support" in waiting.message
    held = await world.until_held(again)

    assert timedelta(hours=2) < world.clock() - began < timedelta(hours=3)
    assert [entry["phoneNumber"] for entry in await world.purchases()] == [held]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"acquire": "Purchase"}, "PurchaseSubmitted"),
        ({"acquire": "Adopt"}, "NoNumberToAdopt"),
        ({"phoneNumber": "+18335550101"}, "PinnedNumberNotOwned"),
    ],
)
async def test_what_would_not_adopt_the_number_does_not_wait_for_it(
    spec: dict[str, str], reason: str, start: Callable[..., World]
) -> None:
    world = start(behaviour={"operation_seconds": 60})
    again = await lose_cluster(world, await submitted(world), **spec)

    outcome = await world.reconcile(again)

    assert outcome is not None
    assert outcome.reason == reason


async def test_what_other_objects_buy_and_have_bought_is_not_unknown(start: Callable[..., World]) -> None:
    world = start(behaviour={"listing_delay_s": 120})
    first, second = world.add("a"), world.add("b")
    await world.reconcile(first)
    assert world.status(first).phone_number is None, "it is bought, and not listed yet"

    outcome = await world.reconcile(second)

    assert outcome is not None
    assert outcome.reason == "PurchaseOfAnother"


async def test_a_number_that_was_released_is_not_waited_for(start: Callable[..., World]) -> None:
    world = start()
    key = world.add(_NAME, spec={"deletionPolicy": "Release"})
    first = await world.until_held(key)
    for _ in range(3):
        await world.finalize(key)
        if key not in world.api.bodies:
            break
    again = world.api.put(number_body(_NAME, uid="the-uid-after"))

    outcome = await world.until(again, lambda one: one.state is State.READY, passes=4)

    assert outcome.status.phone_number != first
