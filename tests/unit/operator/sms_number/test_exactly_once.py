"""Whatever is cut, lost or refused, at whatever moment: exactly one number is bought for one SmsNumber."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from unit.operator.sms_number.world import Blow, World

_MOMENTS = 40
"""More than the calls and writes of the longest pass."""


async def _survives(world: World, *blows: tuple[int, Blow]) -> bool:
    """Buy a number with these blows to the first pass; return whether the last of them was met."""
    key = world.add()
    await world.reconcile(key, *blows)
    met = world.fate.struck == len(blows)
    await world.ends_with_one(key, blows)
    return met


@pytest.mark.parametrize("blow", Blow)
async def test_wherever_a_pass_is_struck_exactly_one_number_is_bought(blow: Blow, start: Callable[..., World]) -> None:
    struck = 0
    while await _survives(start(), (struck + 1, blow)):
        struck += 1
        assert struck < _MOMENTS
    assert struck >= 10, "the pass that buys has at least so many moments"


@pytest.mark.parametrize("blow", Blow)
async def test_wherever_a_slow_purchase_is_struck_and_listed_late_exactly_one_number_is_bought(
    blow: Blow, start: Callable[..., World]
) -> None:
    behaviour = {"operation_seconds": 20, "listing_delay_s": 60}
    for moment in range(1, 12):
        await _survives(start(behaviour=behaviour), (moment, blow))


async def test_a_second_blow_to_the_pass_that_resumes_changes_nothing(start: Callable[..., World]) -> None:
    for first in range(1, 13):
        for second in range(1, 9):
            world = start()
            key = world.add()
            await world.reconcile(key, (first, Blow.DIE_AFTER))
            await world.reconcile(key, (second, Blow.LOSE_ANSWER))
            await world.ends_with_one(key, (first, second))


async def test_a_hold_that_expires_while_nobody_works_is_replaced_and_one_number_is_bought(
    start: Callable[..., World],
) -> None:
    for moment in range(1, 14):
        world = start()
        key = world.add()
        await world.reconcile(key, (moment, Blow.DIE_AFTER))
        world.clock.advance(3 * 3600)
        await world.ends_with_one(key, moment)


async def test_a_reservation_that_the_provider_forgot_after_a_month_buys_no_second_number(
    start: Callable[..., World],
) -> None:
    for moment in range(1, 14):
        world = start()
        key = world.add()
        await world.reconcile(key, (moment, Blow.DIE_AFTER))
        world.clock.advance(40 * 24 * 3600)
        await world.ends_with_one(key, moment)


async def test_the_intent_stands_in_status_before_the_first_call_that_could_cost(world: World) -> None:
    key = world.add()
    # The first calls list the owned numbers and the reservations; then the intent is written, and the process dies.
    await world.reconcile(key, (3, Blow.DIE_AFTER))
    purchase = world.status(key).purchase
    assert purchase is not None
    assert (purchase.attempt, purchase.object_uid) == (1, world.api.bodies[key]["metadata"]["uid"])
    assert await world.requests("PATCH", "") == 0
    assert await world.requests("POST", "") == 0


async def test_a_stale_cache_buys_nothing_twice(world: World) -> None:
    key = world.add()
    for _ in range(4):
        await world.reconcile(key, seen=False)
        world.clock.advance(5)
    assert world.api.cache.get(key) != world.api.bodies[key], "the cache must be stale for this to prove anything"
    assert len(await world.purchases()) == 1


async def test_two_passes_over_one_object_at_a_time_buy_one_number(world: World) -> None:
    key = world.add()
    passes = [world.kind.reconcile(world.api.object(world.kind, key)) for _ in range(3)]
    await asyncio.gather(*passes, return_exceptions=True)
    world.api.show(key)
    await world.ends_with_one(key)


async def test_an_object_that_was_deleted_meanwhile_buys_nothing(world: World) -> None:
    key = world.add()
    obj = world.api.object(world.kind, key)
    world.api.remove(key)
    with pytest.raises(Exception, match="deleted or replaced"):
        await world.kind.reconcile(obj)
    assert await world.requests("POST", "") == 0


async def test_a_number_given_back_by_hand_is_not_bought_again(world: World) -> None:
    key = world.add()
    held = await world.until_held(key)
    await world.control("POST", "state", {"release": [held]})
    for _ in range(5):
        outcome = await world.reconcile(key)
        assert outcome is not None
        assert outcome.reason == "NumberNotOwned"
        world.clock.advance(24 * 3600)
    assert len(await world.purchases()) == 1


async def test_numbers_bought_side_by_side_differ(world: World) -> None:
    keys = [world.add(f"sms-{n}") for n in range(5)]
    passes = (world.kind.reconcile(world.api.object(world.kind, key)) for key in keys)
    for key, outcome in zip(keys, await asyncio.gather(*passes), strict=True):
        world.api.settle(key, outcome)
    held = [await world.until_held(key) for key in keys]
    assert len(set(held)) == 5
    assert len(await world.purchases()) == 5


async def test_owned_numbers_are_adopted_by_one_object_each_however_far_the_cache_lags(world: World) -> None:
    await world.control("POST", "state", {"own": ["+18335550101", "+18445550102"]})
    keys = [world.add(f"sms-{n}") for n in range(3)]
    for key in keys:
        await world.reconcile(key, seen=False)
    world.api.relist()
    held = [await world.until_held(key) for key in keys]
    assert len(set(held)) == 3
    assert len(await world.purchases()) == 1
