"""What a search for faults once found: each would have cost money, or hidden a number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, number_body, number_spec
from unit.operator.sms_number.world import Blow, World

from ehr_api.v1alpha1.sms_number import SmsNumberSpec
from ehr_clients.acs_numbers import Capabilities, PurchasedNumber
from ehr_operator.runtime.model import ConflictError, Finalized, Key, State
from ehr_operator.sms_number.plan import Adopt, Observed, plan

CONFIG = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)
FAILING_PURCHASE = {"fail_operations": [{"operation_type": "reservationPurchase"}]}


async def with_intent(world: World, key: Key) -> None:
    """Leave the object as a kill right after its first intent leaves it."""
    await world.reconcile(key, (3, Blow.DIE_AFTER))
    assert world.status(key).purchase is not None


async def test_a_number_that_another_object_bought_after_the_hold_had_expired_is_not_held_twice() -> None:
    world = World(settings={"numbers_per_area": 1})
    first, second = world.add("a", spec={"areaCode": "833"}), world.add("b", spec={"areaCode": "833"})
    await world.reconcile(first, (10, Blow.DIE_BEFORE))  # all but the purchase itself
    purchase = world.status(first).purchase
    assert purchase is not None
    assert purchase.phone_number is not None
    assert not await world.purchases()
    world.clock.advance(1000)

    held = await world.until_held(second)

    await world.reconcile(first)
    assert world.status(first).phone_number != held


async def test_a_purchase_that_the_provider_failed_is_followed_by_another_attempt() -> None:
    world = World()
    key = world.add()
    await world.control("POST", "state", FAILING_PURCHASE)

    await world.ends_with_one(key)


async def test_a_deletion_with_release_gives_up_the_number_of_a_purchase_under_way() -> None:
    world = World(behaviour={"operation_seconds": 30})
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.reconcile(key)

    for _ in range(20):
        if isinstance(await world.finalize(key), Finalized):
            break
        world.clock.advance(60)

    assert (await world.control("GET", "state"))["owned"] == []


async def test_a_slow_release_is_waited_for_and_no_failure() -> None:
    world = World(behaviour={"operation_seconds": 0})
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    await world.control("PATCH", "settings", {"operation_seconds": 30})

    outcomes: set[tuple[str, object]] = set()
    for _ in range(20):
        outcome = await world.finalize(key)
        if isinstance(outcome, Finalized):
            break
        outcomes.add((outcome.reason, outcome.failure))
        world.clock.advance(5)

    assert outcomes == {("ReleasePending", None)}


@pytest.mark.parametrize("change", [{"acquire": "Adopt"}, {"phoneNumber": "+18335550199"}], ids=["Adopt", "a pin"])
async def test_a_spec_that_asks_for_no_purchase_any_more_stops_one_that_was_begun(change: dict[str, Any]) -> None:
    world = World()
    key = world.add()
    await with_intent(world, key)

    world.api.change(key, {"spec": change})
    for _ in range(4):
        await world.reconcile(key)
        world.clock.advance(60)

    assert await world.purchases() == []


async def test_a_quota_that_is_used_up_is_named() -> None:
    world = World(behaviour={"purchase_quota": 0})
    key = world.add()

    outcome = await world.reconcile(key)

    assert outcome is not None
    assert outcome.reason == "QuotaReached"
    assert "Azure support" in outcome.message


@pytest.mark.parametrize(("country", "area", "number"), [("GB", "808", "+448081570123"), ("CA", "833", "+18335550123")])
def test_the_area_code_is_compared_without_the_country_code_of_any_country(
    country: str, area: str, number: str
) -> None:
    owned = PurchasedNumber(
        phone_number=number,
        country_code=country,
        phone_number_type="tollFree",
        capabilities=Capabilities(calling="inbound+outbound", sms="inbound+outbound"),
        purchase_date=datetime(2026, 1, 1, tzinfo=UTC),
    )
    spec = SmsNumberSpec.model_validate(number_spec(countryCode=country, areaCode=area))

    assert plan(spec, Observed(uid="u", phone_number=None, purchase=None, owned=(owned,))) == Adopt(owned)


async def test_a_deletion_in_the_middle_of_a_purchase_waits_for_the_number_so_that_its_successor_buys_none() -> None:
    world = World(behaviour={"operation_seconds": 120})
    key = world.add()
    await world.reconcile(key)

    for _ in range(20):
        outcome = await world.finalize(key)
        if isinstance(outcome, Finalized):
            break
        assert outcome.reason == "PurchaseUnderWay"
        world.clock.advance(30)
    successor = world.api.put(number_body(key.name, uid="another-uid"))

    await world.until_held(successor)
    assert len(await world.purchases()) == 1


async def test_a_purchase_that_the_provider_does_not_know_for_a_moment_is_not_made_again() -> None:
    world = World(behaviour={"operation_seconds": 30})
    key = world.add()
    await world.reconcile(key)
    world.clock.advance(5)
    rule = {"action": "status", "status": 404, "method": "GET", "path": "/reservations/"}
    await world.control("PUT", "faults", [rule])

    outcome = await world.reconcile(key)

    assert outcome is not None
    assert outcome.reason == "PurchaseSubmitted"
    await world.until_held(key)
    assert len(await world.purchases()) == 1


async def test_a_purchase_ends_in_the_resource_where_it_was_begun() -> None:
    world, elsewhere = World(behaviour={"operation_seconds": 30}), "https://other.lamna.example"
    key = world.add()
    await world.reconcile(key)
    world.api.change(CONFIG, {"spec": {"communicationServices": {"endpoint": elsewhere}}})

    outcome = await world.reconcile(key)
    world.clock.advance(60)
    for _ in range(4):
        outcome = await world.reconcile(key) or outcome
        world.clock.advance(10)

    assert len(await world.purchases()) == 1
    assert outcome is not None
    assert (outcome.state, outcome.reason) == (State.STALLED, "NumberInOtherResource")
    assert elsewhere in outcome.message


async def test_an_object_that_was_suspended_while_it_waited_for_its_turn_buys_nothing() -> None:
    world = World()
    key = world.add()
    stale = world.api.object(world.kind, key)
    world.api.change(key, {"spec": {"suspend": True}})

    with pytest.raises(ConflictError):
        await world.kind.reconcile(stale)

    assert await world.purchases() == []


async def test_an_organisation_that_withdrew_its_consent_in_the_meantime_buys_nothing() -> None:
    world = World()
    key = world.add()
    withdrawn = {"spec": {"smsNotifications": {"consent": {"attendeesHaveConsented": False}}}}
    world.api.change(CONFIG, withdrawn, seen=False)

    with pytest.raises(ConflictError):
        await world.kind.reconcile(world.api.object(world.kind, key))

    assert await world.purchases() == []


async def test_of_two_that_pin_one_number_the_elder_has_it_and_the_younger_names_it() -> None:
    world = World()
    await world.control("POST", "state", {"own": ["+18335550101"]})
    pin = {"phoneNumber": "+18335550101"}
    elder = world.api.put(number_body("b", spec=pin, creationTimestamp="2026-03-01T08:00:00Z"))
    younger = world.api.put(number_body("a", spec=pin, creationTimestamp="2026-03-02T08:00:00Z"))

    refused = await world.reconcile(younger)
    await world.until_held(elder)

    assert refused is not None
    assert refused.reason == "AlreadyClaimed"
    assert "lamna/b" in refused.message


async def test_the_number_of_an_object_whose_finalizer_was_taken_off_is_free_again() -> None:
    world = World()
    first = world.add("first")
    held = await world.until_held(first)
    world.api.remove(first)
    second = world.add("second", spec={"acquire": "Adopt"})

    assert await world.until_held(second) == held


async def test_a_suspended_object_releases_nothing() -> None:
    world = World()
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    world.api.change(key, {"spec": {"suspend": True}})

    outcome = await world.finalize(key)

    assert not isinstance(outcome, Finalized)
    assert outcome.reason == "Suspended"
    assert "deletionPolicy: Retain" in outcome.message


async def test_a_held_number_that_one_list_leaves_out_is_asked_for_by_itself_and_stays_ready() -> None:
    world = World()
    key = world.add()
    held = await world.until_held(key)
    world.fate.instead = {"/phoneNumbers": {"phoneNumbers": []}}

    outcome = await world.reconcile(key)

    assert outcome is not None
    assert (outcome.state, outcome.status.phone_number) == (State.READY, held)


async def test_a_bought_number_whose_reservation_is_forgotten_and_that_one_list_leaves_out_is_not_bought_again() -> (
    None
):
    world = World(behaviour={"listing_delay_s": 3600})
    key = world.add()
    await world.reconcile(key)
    world.clock.advance(32 * 24 * 3600.0)
    world.fate.instead = {"/phoneNumbers": {"phoneNumbers": []}}

    await world.reconcile(key)

    assert await world.bought_for(key) == [world.status(key).phone_number]


@pytest.mark.parametrize(
    "change", [{"areaCode": "844"}, {"capabilities": {"calling": "Inbound", "sms": "InboundAndOutbound"}}]
)
async def test_a_reserved_number_that_the_spec_asks_for_no_more_is_not_bought(change: dict[str, Any]) -> None:
    world = World()
    key = world.add(spec={"areaCode": "833"})
    await world.reconcile(key, (10, Blow.DIE_BEFORE))  # all but the purchase itself
    reserved = world.status(key).purchase
    assert reserved is not None
    assert reserved.phone_number is not None
    world.api.change(key, {"spec": change})

    held = await world.until_held(key)

    assert held != reserved.phone_number
    assert [entry["phoneNumber"] for entry in await world.purchases()] == [held]
    assert change.get("areaCode", "833") in held


async def test_a_number_whose_adoption_was_not_written_is_free_for_another_object() -> None:
    world = World()
    await world.control("POST", "state", {"own": ["+18335550199"]})
    first = world.add("first", spec={"acquire": "Adopt"})
    second = world.add("second", spec={"acquire": "Adopt"})
    write = 2
    assert await world.reconcile(first, (write, Blow.LOSE_ANSWER)) is None
    assert world.fate.moments == write
    world.api.change(first, {"spec": {"suspend": True}})

    assert await world.until_held(second) == "+18335550199"
