"""The cluster is lost with all that etcd held; Git and the provider's list give the same numbers back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from cluster.exactly_once.nursery import Nursery
from cluster.exactly_once.stage import House, Stage, opened, staged
from cluster.runtime.conftest import apply_crds

from ehr_sandbox.control_plane.assets import Assets
from ehr_sandbox.control_plane.cluster import ControlPlane, running_control_plane
from ehr_sandbox.control_plane.etcdutl import find_etcdutl
from ehr_sandbox.control_plane.progress import PlainProgress
from ehr_sandbox.control_plane.recovery import lose_everything, restore_snapshot, save_snapshot

NAMES = ("front-desk", "reminders", "surgery")
OLD = ("+18335550101", "+18445550102")
UNDER_WAY_S = 600.0
"""Longer than a cluster takes to be lost and rebuilt; a test lets the time pass."""


@pytest.fixture
def doomed(assets: Assets) -> Iterator[ControlPlane]:
    """A control plane of the test's own, which it wipes."""
    with running_control_plane(progress=PlainProgress(sys.stderr), assets=assets) as running:
        apply_crds(running)
        yield running


@pytest.fixture
async def doomed_house(doomed: ControlPlane, nursery: Nursery, tmp_path: Path) -> AsyncGenerator[House]:
    async with opened(doomed, nursery, tmp_path) as house:
        yield house


async def _apply(stage: Stage) -> None:
    """Apply what is in Git, all at once."""
    await stage.make_namespace()
    await asyncio.gather(stage.organization(), *(stage.number(name) for name in NAMES))


async def _held(stage: Stage) -> dict[str, str]:
    """Wait until every number is Ready and return who has which."""
    held: dict[str, str] = {}
    for name in NAMES:
        await stage.ready(name)
        body = await stage.look(name)
        assert body is not None
        held[name] = body["status"]["phoneNumber"]
    return held


async def test_after_the_loss_of_the_whole_cluster_the_same_numbers_come_back_and_nothing_is_bought(
    doomed_house: House,
) -> None:
    async with staged(doomed_house, owned=OLD) as stage:
        await _apply(stage)
        stage.start()
        before = await _held(stage)
        assert len(set(before.values())) == len(NAMES), "no two have the same"
        (bought,) = (await stage.truth())["purchases"]
        assert set(before.values()) == {*OLD, bought["phoneNumber"]}
        assert stage.operator is not None
        stage.kill()
        await stage.operator.gone()

        await asyncio.to_thread(lose_everything, doomed_house.control_plane)
        apply_crds(doomed_house.control_plane)
        await _apply(stage)
        stage.start()
        after = await _held(stage)

        assert sorted(after.values()) == sorted(before.values())
        truth = await stage.truth()
        assert truth["purchases"] == [bought]
        assert sorted(truth["owned"]) == sorted(before.values())
        for name in NAMES:
            body = await stage.look(name)
            assert body is not None
            assert body["status"]["adopted"] is True


async def test_numbers_that_are_pinned_in_git_come_back_each_to_its_own_object(doomed_house: House) -> None:
    async with staged(doomed_house, owned=OLD) as stage:
        await _apply(stage)
        stage.start()
        before = await _held(stage)
        git = dict(zip(NAMES, before.values(), strict=True))
        for name, number in git.items():
            await stage.pin(name, number)
            await stage.until(lambda name=name: _is_observed(stage, name))
        assert await _held(stage) == git, "to pin what is held changes nothing"
        assert stage.operator is not None
        stage.kill()
        await stage.operator.gone()

        await asyncio.to_thread(lose_everything, doomed_house.control_plane)
        apply_crds(doomed_house.control_plane)
        await stage.make_namespace()
        await stage.organization()
        for name, number in reversed(git.items()):
            await stage.number(name, phoneNumber=number)
        stage.start()

        assert await _held(stage) == git
        assert len((await stage.truth())["purchases"]) == 1


async def test_an_operator_that_lives_through_the_loss_adopts_too(doomed_house: House) -> None:
    async with staged(doomed_house, owned=OLD) as stage:
        await _apply(stage)
        stage.start()
        before = await _held(stage)

        await asyncio.to_thread(lose_everything, doomed_house.control_plane)
        apply_crds(doomed_house.control_plane)
        await _apply(stage)
        after = await _held(stage)

        assert sorted(after.values()) == sorted(before.values())
        assert len((await stage.truth())["purchases"]) == 1


@pytest.mark.parametrize("lives_on", [True, False])
async def test_a_number_that_was_being_bought_when_the_cluster_was_lost_is_waited_for_and_adopted(
    lives_on: bool, doomed_house: House
) -> None:
    async with staged(doomed_house, behaviour={"operation_seconds": UNDER_WAY_S, "listing_delay_s": 5.0}) as stage:
        await stage.organization()
        await stage.number()
        stage.start()
        await stage.until(lambda: _is_submitted(stage))
        before = await stage.look()
        assert stage.operator is not None
        if not lives_on:
            stage.kill()
            await stage.operator.gone()

        await asyncio.to_thread(lose_everything, doomed_house.control_plane)
        apply_crds(doomed_house.control_plane)
        await stage.make_namespace()
        await stage.organization()
        await stage.number()
        assert (await stage.truth())["purchases"] == [], (
            "the purchase must still be under way for this to prove anything"
        )
        if not lives_on:
            stage.start()
        await stage.until(lambda: _waits_for_unknown(stage))
        await stage.pass_at_provider(UNDER_WAY_S)
        await stage.ready()

        after, truth = await stage.look(), await stage.truth()
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        (bought,) = truth["purchases"]
        assert truth["owned"] == [bought["phoneNumber"]]
        assert (after["status"]["phoneNumber"], after["status"]["adopted"]) == (bought["phoneNumber"], True)


async def _is_observed(stage: Stage, name: str) -> bool:
    body = await stage.look(name) or {"metadata": {}}
    return body.get("status", {}).get("observedGeneration") == body["metadata"].get("generation")


async def _is_submitted(stage: Stage) -> bool:
    body = await stage.look() or {}
    return "operationID" in body.get("status", {}).get("purchase", {})


async def _waits_for_unknown(stage: Stage) -> bool:
    body = await stage.look() or {}
    conditions = body.get("status", {}).get("conditions", [])
    return any((one["type"], one["reason"]) == ("Provisioned", "UnknownPurchase") for one in conditions)


@pytest.mark.parametrize(("lives_on", "bump_revision"), [(True, True), (False, True), (False, False), (True, False)])
@pytest.mark.timeout(900)  # etcdutl may have to be built
async def test_a_restore_from_a_backup_of_before_the_purchase_buys_nothing_again(
    lives_on: bool, bump_revision: bool, doomed_house: House, tmp_path: Path
) -> None:
    etcdutl, backup = find_etcdutl(PlainProgress(sys.stderr)), tmp_path / "backup.db"
    async with staged(doomed_house) as stage:
        await stage.organization()
        await stage.number()
        await asyncio.to_thread(save_snapshot, doomed_house.control_plane, backup)
        stage.start()
        await stage.ready()
        before = await stage.look()
        for _ in range(100):
            await stage.nudge()  # resource versions move on
        assert stage.operator is not None
        if not lives_on:
            stage.kill()
            await stage.operator.gone()

        await asyncio.to_thread(
            restore_snapshot, doomed_house.control_plane, backup, etcdutl, bump_revision=bump_revision
        )
        if not lives_on:
            assert not await stage.is_ready(), "the backup knows of no purchase"
            stage.start()
        await stage.ready()

        after = await stage.look()
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["status"]["phoneNumber"] == before["status"]["phoneNumber"]
        assert len((await stage.truth())["purchases"]) == 1


async def test_those_that_are_applied_together_never_have_the_same_number(house: House) -> None:
    async def play() -> None:
        async with staged(house, owned=OLD[:1]) as stage:
            stage.start()
            await _apply(stage)

            held = await _held(stage)

            assert len(set(held.values())) == len(NAMES)
            assert OLD[0] in held.values()
            assert len((await stage.truth())["purchases"]) == len(NAMES) - 1

    await asyncio.gather(*(play() for _ in range(4)))
