"""What happens to a number when its SmsNumber is deleted."""

from __future__ import annotations

from unit.operator.conftest import NAMESPACE, endpoint_body
from unit.operator.sms_number.world import World

from ehr_operator.runtime.model import Finalized, Key, Outcome, State

CONFIG = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)


async def test_a_deletion_waits_and_names_the_endpoints_that_still_text(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    held = await world.until_held(key)
    endpoint = world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    outcome = await world.finalize(key)
    assert isinstance(outcome, Outcome)
    assert (outcome.state, outcome.reason, outcome.warning) == (State.RECONCILING, "DeletionBlocked", True)
    assert "lamna-test" in outcome.message
    assert (await world.control("GET", "state"))["owned"] == [held]
    world.api.remove(endpoint)
    assert isinstance(await world.finalize(key), Outcome), "the release was begun"
    assert isinstance(await world.finalize(key), Finalized)
    assert (await world.control("GET", "state"))["owned"] == []


async def test_a_number_is_not_released_while_an_endpoint_links_to_it_that_the_watch_has_not_brought_yet(
    world: World,
) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    held = await world.until_held(key)
    endpoint = world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}), seen=False)

    outcome = await world.finalize(key)

    assert isinstance(outcome, Outcome)
    assert (outcome.reason, outcome.status.linked_endpoints) == ("DeletionBlocked", ["lamna-test"])
    assert (await world.control("GET", "state"))["owned"] == [held]
    world.api.show(endpoint)
    world.api.remove(endpoint)
    assert isinstance(await world.finalize(key), Outcome), "the release was begun"
    assert (await world.control("GET", "state"))["owned"] == []


async def test_an_endpoint_that_is_being_deleted_keeps_no_number_from_its_release(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    deleting = {"deletionTimestamp": "2026-03-02T09:00:00Z", "finalizers": ["example.com/theirs"]}
    world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}, **deleting))

    await world.finalize(key)

    assert (await world.control("GET", "state"))["owned"] == []


async def test_a_retained_number_stays_owned_and_is_adopted_again(world: World) -> None:
    key = world.add()
    held = await world.until_held(key)
    finalized = await world.finalize(key)
    assert isinstance(finalized, Finalized)
    assert [note.reason for note in finalized.notes] == ["NumberRetained"]
    assert await world.until_held(world.add("successor")) == held
    assert len(await world.purchases()) == 1


async def test_a_release_is_confirmed_by_asking_and_announced(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    outcome = await world.finalize(key)
    assert isinstance(outcome, Outcome)
    assert (outcome.reason, outcome.requeue_after_s) == ("ReleasePending", 5.0)
    finalized = await world.finalize(key)
    assert isinstance(finalized, Finalized)
    assert [note.reason for note in finalized.notes] == ["NumberReleased"]


async def test_a_release_waits_while_the_provider_cannot_be_asked(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    await world.control("PUT", "faults", [{"action": "status", "status": 503, "count": 3}])
    for _ in range(3):
        outcome = await world.finalize(key)
        assert isinstance(outcome, Outcome)
        assert outcome.reason == "ProviderUnavailable"
    await world.finalize(key)
    assert isinstance(await world.finalize(key), Finalized)


async def test_a_release_needs_no_organisation_any_more(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    world.api.remove(CONFIG)
    outcome = await world.finalize(key)
    assert isinstance(outcome, Outcome)
    assert outcome.reason == "ReleasePending"
    assert isinstance(await world.finalize(key), Finalized)
    assert (await world.control("GET", "state"))["owned"] == []


async def test_an_object_that_never_got_a_number_goes_at_once(world: World) -> None:
    assert await world.finalize(world.add(spec={"deletionPolicy": "Release"})) == Finalized()
    assert await world.requests("GET", "") == 0
