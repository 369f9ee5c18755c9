"""What an SmsNumber says of itself in each situation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, config_body, endpoint_body, finding, number_body
from unit.operator.sms_number.world import Blow, World

from ehr_api.conditions import Type
from ehr_operator.runtime.model import FREE, PAID, Change, Key, Outcome, State
from ehr_operator.sms_number.reconcile import SmsNumberKind

_FINDINGS = [Type.RESERVED, Type.PROVISIONED, Type.VERIFIED, Type.LINKED]
OWNED = "+18335550199"
CONFIG = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)


async def _own(world: World, *numbers: str) -> None:
    await world.control("POST", "state", {"own": list(numbers)})


async def _first(world: World, **spec: Any) -> Outcome[Any]:
    """Return the outcome of the first pass over a new object."""
    outcome = await world.reconcile(world.add(spec=spec))
    assert outcome is not None
    return outcome


def _statuses(outcome: Outcome[Any]) -> list[str]:
    assert [one.type for one in outcome.findings] == _FINDINGS, "every condition is shown in every situation"
    return [one.status.value for one in outcome.findings]


async def test_a_held_number_is_ready_and_shows_what_the_provider_says_of_it(world: World) -> None:
    key = world.add()
    outcome = await world.until(key, lambda one: one.state is State.READY)
    assert (outcome.reason, _statuses(outcome)) == ("NumberHeld", ["True", "True", "True", "False"])
    status = world.status(key)
    assert (status.adopted, status.monthly_cost and status.monthly_cost.amount) == (False, "2.00")
    assert status.purchase_date is not None
    assert [note.reason for note in outcome.notes] == ["NumberPurchased"]
    again = await world.reconcile(key)
    assert again is not None
    assert again.notes == (), "an event is for a change"
    assert again.requeue_after_s == 6 * 3600


async def test_an_adopted_number_says_so_and_costs_nothing(world: World) -> None:
    await _own(world, OWNED)
    outcome = await _first(world)
    assert outcome.state is State.READY
    assert finding(outcome, Type.RESERVED).reason == "NumberHeld"
    assert [note.reason for note in outcome.notes] == ["NumberAdopted"]
    assert (outcome.status.phone_number, await world.purchases()) == (OWNED, [])


async def test_a_purchase_under_way_is_reserved_but_not_provisioned(start: Callable[..., World]) -> None:
    outcome = await _first(start(behaviour={"operation_seconds": 60}))
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "PurchaseSubmitted")
    assert _statuses(outcome) == ["True", "False", "True", "False"]
    assert outcome.requeue_after_s == 5.0


@pytest.mark.parametrize(
    ("spec", "reason", "state", "requeue_s"),
    [
        ({"acquire": "Adopt"}, "NoNumberToAdopt", State.RECONCILING, 600.0),
        ({"phoneNumber": OWNED}, "PinnedNumberNotOwned", State.RECONCILING, 600.0),
        ({"suspend": True}, "Suspended", State.RECONCILING, None),
        ({"configRef": {"name": "missing"}}, "ConfigNotFound", State.RECONCILING, None),
    ],
)
async def test_what_is_waited_for_is_named_and_nothing_is_bought(
    spec: dict[str, Any], reason: str, state: State, requeue_s: float | None, world: World
) -> None:
    outcome = await _first(world, **spec)
    assert (outcome.reason, outcome.state, outcome.requeue_after_s) == (reason, state, requeue_s)
    assert _statuses(outcome)[:2] == ["False", "False"]
    assert finding(outcome, Type.RESERVED).reason == reason
    assert await world.requests("POST", "") == 0


async def test_purchases_that_are_switched_off_buy_nothing(start: Callable[..., World]) -> None:
    world = start(purchasing_enabled=False)
    outcome = await _first(world)
    assert (outcome.reason, outcome.state) == ("PurchasingDisabled", State.RECONCILING)
    assert "EHR_OPERATOR_PURCHASING" in outcome.message
    assert await world.requests("POST", "") == 0


@pytest.mark.parametrize(
    "missing", ["sendOnBehalfOfOrganization", "attendeesHaveConsented", "acknowledgedBy", "acknowledgedAt"]
)
async def test_without_the_whole_consent_no_number_is_asked_for(missing: str, world: World) -> None:
    world.api.change(CONFIG, {"spec": {"smsNotifications": {"consent": {missing: None}}}})
    await _own(world, OWNED)
    outcome = await _first(world)
    assert (outcome.reason, outcome.state) == ("ConsentMissing", State.RECONCILING)
    assert await world.requests("GET", "") == 0


async def test_an_organisation_without_a_resource_for_numbers_is_named(world: World) -> None:
    world.api.change(CONFIG, {"spec": {"communicationServices": None}})
    assert (await _first(world)).reason == "CommunicationServicesMissing"


async def test_credentials_are_not_sent_to_a_resource_that_nobody_trusts(world: World) -> None:
    world.api.change(CONFIG, {"spec": {"communicationServices": {"endpoint": "https://acs.attacker.example"}}})
    outcome = await _first(world)
    assert outcome.reason == "EndpointNotTrusted"
    assert "EHR_OPERATOR_TRUSTED_URLS" in outcome.message
    assert await world.requests("GET", "") == 0


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"amount": "1.99", "currency": "USD"}, "TooExpensive"),
        ({"amount": "9.00", "currency": "EUR"}, "TooExpensive"),
        ({"amount": "2.00", "currency": "USD"}, "NumberHeld"),
    ],
)
async def test_a_number_above_the_limit_is_never_bought(limit: dict[str, str], reason: str, world: World) -> None:
    key = world.add(spec={"maxMonthlyCost": limit})
    reasons: list[str] = []
    for _ in range(4):
        outcome = await world.reconcile(key)
        assert outcome is not None
        reasons.append(outcome.reason)
        world.clock.advance(60)
    assert reasons[-1] == reason
    assert len(await world.purchases()) == (reason == "NumberHeld")


async def test_an_empty_stock_is_tried_again_with_the_pauses_of_calls_that_spend(world: World) -> None:
    outcome = await _first(world, areaCode="999")
    assert outcome.reason == "OutOfStock"
    assert outcome.failure is not None
    assert outcome.failure.backoff is PAID


async def test_a_pinned_number_that_another_object_holds_is_stalled(world: World) -> None:
    await _own(world, OWNED)
    await _first(world)
    outcome = await world.reconcile(world.add("second", spec={"phoneNumber": OWNED, "acquire": "Adopt"}))
    assert outcome is not None
    assert (outcome.reason, outcome.state) == ("AlreadyClaimed", State.STALLED)


async def test_a_pinned_number_is_left_to_its_pin_by_all_others(world: World) -> None:
    await _own(world, OWNED)
    pinned = world.add("pinned", spec={"phoneNumber": OWNED})
    other = await world.reconcile(world.add("other", spec={"acquire": "Adopt"}))
    assert other is not None
    assert other.reason == "NoNumberToAdopt"
    assert await world.until_held(pinned) == OWNED


@pytest.mark.parametrize(
    ("verification", "state", "reason", "verified"),
    [
        (None, State.RECONCILING, "VerificationNotStated", "Unknown"),
        ({"state": "Pending", "reference": "T"}, State.RECONCILING, "VerificationPending", "False"),
        ({"state": "Rejected", "reference": "T"}, State.STALLED, "VerificationRejected", "False"),
        ({"state": "Verified", "reference": "T"}, State.READY, "NumberHeld", "True"),
    ],
)
async def test_a_toll_free_number_is_ready_once_its_verification_is_stated(
    verification: Any, state: State, reason: str, verified: str, world: World
) -> None:
    await _own(world, OWNED)
    outcome = await _first(world, verification=verification)
    assert (outcome.state, outcome.reason) == (state, reason)
    assert _statuses(outcome) == ["True", "True", verified, "False"]


async def test_a_number_that_is_not_toll_free_needs_no_verification(world: World) -> None:
    spec = {"countryCode": "GB", "numberType": "Mobile", "verification": None}
    key = world.add(spec=spec)
    outcome = await world.until(key, lambda one: one.state is State.READY)
    assert finding(outcome, Type.VERIFIED).reason == "NotRequired"


async def test_linked_endpoints_are_named_in_order(world: World) -> None:
    await _own(world, OWNED)
    for name in ("b", "a"):
        world.api.put(endpoint_body(name, spec={"smsNumberRef": {"name": "lamna-sms"}}))
    outcome = await _first(world)
    assert outcome.status.linked_endpoints == ["a", "b"]
    assert finding(outcome, Type.LINKED).message.endswith("a, b")


@pytest.mark.parametrize(
    ("blow", "backoff"), [(Blow.NO_CONNECTION, FREE), (Blow.UNAVAILABLE, FREE), (Blow.LOSE_ANSWER, FREE)]
)
async def test_a_provider_that_gives_no_answer_is_asked_again_by_itself(blow: Blow, backoff: Any, world: World) -> None:
    outcome = await world.reconcile(world.add(), (1, blow))
    assert outcome is not None
    assert (outcome.state, outcome.reason) == (State.RECONCILING, "ProviderUnavailable")
    assert outcome.failure is not None
    assert outcome.failure.backoff is backoff


async def test_retry_after_is_handed_on(world: World) -> None:
    outcome = await world.reconcile(world.add(), (1, Blow.BUSY))
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.retry_after_s == 30


async def test_one_lost_answer_takes_nothing_from_a_held_number(world: World) -> None:
    key = world.add()
    await world.until_held(key)
    outcome = await world.reconcile(key, (1, Blow.UNAVAILABLE))
    assert outcome is not None
    assert (outcome.state, outcome.requeue_after_s) == (State.READY, 60.0)


@pytest.mark.parametrize(("status", "reason"), [(401, "AccessDenied"), (403, "AccessDenied"), (400, "ProviderRefused")])
async def test_a_refusal_says_who_can_mend_it(status: int, reason: str, world: World) -> None:
    await world.control("PUT", "faults", [{"action": "status", "status": status}])
    outcome = await _first(world)
    assert (outcome.state, outcome.reason) == (State.RECONCILING, reason)
    assert outcome.failure is not None
    assert outcome.failure.backoff is PAID


@pytest.mark.parametrize("moment", ["suspend", "consent"])
async def test_a_held_number_stays_held_while_changes_are_stopped(moment: str, world: World) -> None:
    key = world.add()
    held = await world.until_held(key)
    if moment == "suspend":
        world.api.change(key, {"spec": {"suspend": True}})
    else:
        world.api.change(CONFIG, {"spec": {"smsNotifications": {"consent": {"acknowledgedBy": None}}}})
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert (outcome.state, outcome.status.phone_number) == (State.READY, held)


async def test_a_suspended_purchase_stops_and_goes_on_where_it_was(world: World) -> None:
    key = world.add()
    await world.reconcile(key, (3, Blow.DIE_AFTER))
    world.api.change(key, {"spec": {"suspend": True}})
    outcome = await world.reconcile(key)
    assert outcome is not None
    assert outcome.reason == "Suspended"
    assert await world.purchases() == []
    world.api.change(key, {"spec": {"suspend": False}})
    await world.ends_with_one(key)


@pytest.mark.parametrize(("bought", "reason"), [(True, "NumberPurchased"), (False, "NumberAdopted")])
async def test_what_was_bought_or_adopted_is_told_with_how_to_pin_it(bought: bool, reason: str, world: World) -> None:
    if not bought:
        await _own(world, OWNED)
    key = world.add()

    outcome = await world.until(key, lambda one: one.status.phone_number is not None)

    pin = f'spec.phoneNumber: "{outcome.status.phone_number}"'
    (note,) = outcome.notes
    assert note.reason == reason
    assert pin in note.message
    assert pin in finding(outcome, Type.PROVISIONED).message
    again = await world.reconcile(key)
    assert again is not None
    assert (again.findings, again.notes) == (outcome.findings, ())


async def test_a_pinned_number_is_not_told_how_to_be_pinned(world: World) -> None:
    await _own(world, OWNED)
    key = world.add(spec={"phoneNumber": OWNED})

    outcome = await world.until(key, lambda one: one.status.phone_number is not None)

    assert "spec.phoneNumber" not in finding(outcome, Type.PROVISIONED).message
    assert [note.message for note in outcome.notes] == [f"adopted {OWNED}"]


async def test_a_number_that_is_pinned_once_it_is_held_stays_with_its_object(world: World) -> None:
    keys = [world.add(name) for name in ("a", "b", "c")]
    held = [await world.until_held(key) for key in keys]
    for key, number in zip(keys, held, strict=True):
        world.api.change(key, {"spec": {"phoneNumber": number}})
        assert await world.until_held(key) == number
    pinned = [world.api.bodies[key]["spec"] for key in keys]
    for key in keys:
        world.api.remove(key)
    world.restart()

    again = [
        world.api.put(number_body(key.name, uid=f"another-{key.name}", spec=spec))
        for key, spec in reversed(list(zip(keys, pinned, strict=True)))
    ]

    assert [await world.until_held(key) for key in again] == held[::-1]
    assert len(await world.purchases()) == len(keys)


async def test_others_are_woken_by_what_they_look_at_and_by_nothing_else(world: World) -> None:
    key = world.add()
    endpoint = world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    kind: SmsNumberKind = world.kind
    assert set(kind.related(world.api.bodies[key])) == {CONFIG, endpoint}
    before = kind.signal(world.api.bodies[key])
    world.api.change(key, {"metadata": {"labels": {"team": "a"}}, "status": {"linkedEndpoints": ["x"]}})
    assert kind.signal(world.api.bodies[key]) == before
    await world.until_held(key)
    assert kind.signal(world.api.bodies[key]) != before


@pytest.mark.parametrize(
    ("kind", "change", "mends"),
    [
        ("EHRConnectorConfig", {"displayName": "Another"}, False),
        ("EHRConnectorConfig", {"smsNotifications": {"enabled": False}}, False),
        ("EHRConnectorConfig", {"communicationServices": {"endpoint": "https://other.example"}}, True),
        ("FhirEndpoint", {"smsNumberRef": {"name": "lamna-sms"}}, False),
    ],
)
def test_only_another_resource_lifts_the_pause_that_a_provider_asked_for(
    kind: str, change: dict[str, Any], mends: bool, world: World
) -> None:
    made = config_body if kind == "EHRConnectorConfig" else endpoint_body

    assert world.kind.mended_by(Change(kind, made(), made(spec=change))) is mends
    assert not world.kind.mended_by(Change(kind, made(), None))
    assert not world.kind.mended_by(Change(kind, None, made(spec=change)))
