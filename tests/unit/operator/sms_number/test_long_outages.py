"""What lasts: a provider that is away for hours, operations that never end. It is told, and asked less and less often."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.operator.conftest import endpoint_body, finding
from unit.operator.sms_number.world import Blow, World

from ehr_api.conditions import Type
from ehr_operator.runtime.model import PAID, Finalized, Outcome, State

NEVER = {"operation_seconds": 10 * 24 * 3600}
AWAY = [{"action": "status", "status": 503, "count": None}]


async def test_an_outage_of_hours_is_told_in_a_condition_while_the_number_serves_on(world: World) -> None:
    key = world.add()
    held = await world.until_held(key)
    await world.control("PUT", "faults", AWAY)
    told: list[tuple[str, str]] = []
    pauses: list[float] = []
    events: list[str] = []
    for _ in range(6):
        outcome = await world.reconcile(key)
        assert outcome is not None
        assert (outcome.state, outcome.status.phone_number) == (State.READY, held)
        assert outcome.requeue_after_s is not None
        provisioned = finding(outcome, Type.PROVISIONED)
        told.append((provisioned.status.value, provisioned.reason))
        assert ("look at the service's health" in provisioned.message) == (len(told) > 2)
        pauses.append(outcome.requeue_after_s)
        events += [note.reason for note in outcome.notes]
        world.clock.advance(outcome.requeue_after_s)
    assert told == [("True", "NumberHeld")] * 2 + [("Unknown", "ProviderUnavailable")] * 4
    assert events == ["ProviderUnavailable"], "once"
    assert pauses == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    await world.control("DELETE", "faults")
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert finding(outcome, Type.PROVISIONED).status == "True"


async def test_an_outage_that_was_told_stays_told_by_the_next_process(world: World) -> None:
    key = world.add()
    await world.until_held(key)
    await world.control("PUT", "faults", AWAY)
    for _ in range(3):
        await world.reconcile(key)
    world.restart()
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert finding(outcome, Type.PROVISIONED).reason == "ProviderUnavailable"


async def test_a_pause_that_the_provider_asks_for_is_kept_also_while_a_number_is_held(world: World) -> None:
    key = world.add()
    await world.until_held(key)
    await world.control("PUT", "faults", [{"action": "status", "status": 429, "retry_after_s": 7200}])
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert (outcome.state, outcome.requeue_after_s) == (State.READY, 7200)


async def test_a_quota_that_is_refused_for_hours_is_left_alone_for_hours(world: World) -> None:
    key = world.add()
    rule = {"action": "status", "status": 429, "retry_after_s": 4 * 3600, "path": ":purchase"}
    await world.control("PUT", "faults", [rule])
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "QuotaReached")
    assert outcome.failure is not None
    assert (outcome.failure.backoff, outcome.failure.retry_after_s) == (PAID, 4 * 3600)
    assert await world.requests("POST", ":purchase") == 1
    world.clock.advance(4 * 3600)
    await world.ends_with_one(key)


async def test_a_purchase_that_never_ends_is_named_and_asked_for_less_and_less_and_nothing_else_is_bought(
    start: Callable[..., World],
) -> None:
    world = start(behaviour=NEVER)
    key = world.add()
    reasons: list[str] = []
    passes = 0
    began = world.clock()
    while (world.clock() - began).total_seconds() < 24 * 3600:
        outcome = await world.reconcile(key)
        assert outcome is not None
        assert outcome.requeue_after_s is not None
        if outcome.reason not in reasons:
            reasons.append(outcome.reason)
        passes += 1
        world.clock.advance(outcome.requeue_after_s)
    assert reasons == ["PurchaseSubmitted", "PurchaseOverdue"]
    last = await world.reconcile(key)
    assert last is not None
    assert last.state is State.RECONCILING
    purchase = world.status(key).purchase
    assert purchase is not None
    assert purchase.reservation_id in last.message
    assert passes < 300, "five minutes of every 5 s, an hour of every minute, then every 10 min"
    assert await world.requests("POST", ":purchase") == 1


async def test_a_purchase_that_never_ends_does_not_hold_up_the_others_for_ever(start: Callable[..., World]) -> None:
    world = start(behaviour=NEVER)
    first, second = world.add("first"), world.add("second")
    await world.reconcile(first)
    outcome = await world.reconcile(second)
    assert outcome is not None
    assert outcome.reason == "PurchaseOfAnother"
    world.clock.advance(2 * 3600)
    await world.reconcile(second)
    assert await world.requests("POST", ":purchase") == 2


async def test_the_purchase_of_an_intent_that_waited_for_days_is_polled_as_a_new_one(
    start: Callable[..., World],
) -> None:
    world = start(behaviour={"operation_seconds": 60})
    key = world.add()
    await world.reconcile(key, (3, Blow.DIE_AFTER))
    world.clock.advance(3 * 24 * 3600)
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert (outcome.reason, outcome.requeue_after_s) == ("PurchaseSubmitted", 5.0)


async def test_a_release_that_never_ends_says_what_unblocks_it(start: Callable[..., World]) -> None:
    world = start()
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    await world.control("PATCH", "settings", NEVER)
    outcome = await world.finalize(key)
    assert isinstance(outcome, Outcome)
    assert outcome.requeue_after_s == 5.0
    world.clock.advance(2 * 3600)
    outcome = await world.finalize(key)
    assert isinstance(outcome, Outcome)
    assert (outcome.reason, outcome.requeue_after_s) == ("ReleasePending", 600.0)
    assert "deletionPolicy: Retain" in outcome.message
    world.api.change(key, {"spec": {"deletionPolicy": "Retain"}})
    assert isinstance(await world.finalize(key), Finalized)


async def test_an_object_that_never_owned_anything_goes_although_endpoints_link_to_it_and_nobody_answers(
    world: World,
) -> None:
    key = world.add(spec={"deletionPolicy": "Release", "suspend": True})
    world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    await world.control("PUT", "faults", AWAY)
    assert await world.finalize(key) == Finalized()


@pytest.mark.parametrize("spec", [{}, {"deletionPolicy": "Release"}])
async def test_a_hold_that_was_never_bought_needs_nobody_to_go(spec: dict[str, str], world: World) -> None:
    key = world.add(spec=spec)
    await world.reconcile(key, (7, Blow.DIE_AFTER))
    purchase = world.status(key).purchase
    assert purchase is not None
    assert await world.requests("POST", ":purchase") == 0
    await world.control("PUT", "faults", AWAY)
    assert await world.finalize(key) == Finalized()
