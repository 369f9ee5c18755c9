"""An operator that may lead no more neither buys nor releases."""

from __future__ import annotations

import pytest
from unit.operator.sms_number.world import World

from ehr_api.v1alpha1.sms_number import PurchaseState
from ehr_operator.runtime.model import ConflictError


async def test_nothing_is_bought_without_the_lease_and_the_next_leader_buys_once(world: World) -> None:
    world.leads = False
    key = world.add()

    assert await world.reconcile(key) is None

    purchase = world.status(key).purchase
    assert purchase is not None
    assert purchase.state is PurchaseState.SUBMITTED, "it is refused right before the call, as late as can be"
    assert await world.purchases() == []
    world.leads = True
    world.restart()
    await world.ends_with_one(key)


async def test_nothing_is_released_without_the_lease_and_the_next_leader_releases(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    world.leads = False

    with pytest.raises(ConflictError):
        await world.finalize(key)

    assert await world.requests("DELETE", "/phoneNumbers") == 0
    world.leads = True
    await world.finalize(key)
    assert await world.requests("DELETE", "/phoneNumbers") == 1
