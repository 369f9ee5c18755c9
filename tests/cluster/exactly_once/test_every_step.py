"""SIGKILL and lost answers at every step of a real operator on a real API server: one number, and none orphaned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cluster.exactly_once.crossing import Blow, Effect, Strike
from cluster.exactly_once.stage import House, Stage, staged

OWNED = "+18335550101"
RESERVATION = "/availablePhoneNumbers/reservations/ID"
SIDE_BY_SIDE = 10
"""Runs at a time: most of a run is waiting."""
RECORDINGS = 3


@dataclass(frozen=True)
class Story:
    """What is done with a number, and what must be true afterwards."""

    name: str
    begin: Callable[[Stage], Awaitable[None]]
    """Everything up to the first effect that counts."""
    over: Callable[[Stage], Awaitable[bool]]
    check: Callable[[dict[str, Any], dict[str, Any] | None], None]
    spends: str
    """The effect for the sake of which all this is done: a recording without it has recorded nothing."""
    owned: tuple[str, ...] = ()


async def _apply(stage: Stage) -> None:
    stage.ledger.open = True
    await stage.organization()
    await stage.number()
    stage.start()


def _deletion(policy: str) -> Callable[[Stage], Awaitable[None]]:
    async def begin(stage: Stage) -> None:
        await stage.organization()
        await stage.number(deletionPolicy=policy)
        stage.start()
        await stage.ready()
        stage.ledger.open = True
        await stage.delete()

    return begin


def _one_bought(truth: dict[str, Any], number: dict[str, Any] | None) -> None:
    assert number is not None
    held = number["status"]["phoneNumber"]
    assert [entry["phoneNumber"] for entry in truth["purchases"]] == [held]
    assert truth["owned"] == [held]
    # One attempt is what is needed where no hold expires: its reservation is used up, and there is no other.
    assert [entry["status"] for entry in truth["open"].values()] == ["completed"]
    assert number["status"]["purchase"]["attempt"] == 1
    assert number["status"]["purchase"]["reservationID"] in truth["open"]


def _adopted(truth: dict[str, Any], number: dict[str, Any] | None) -> None:
    assert number is not None
    assert (number["status"]["phoneNumber"], number["status"]["adopted"]) == (OWNED, True)
    assert (truth["owned"], truth["purchases"], truth["open"]) == ([OWNED], [], {})


def _released(truth: dict[str, Any], number: dict[str, Any] | None) -> None:
    assert number is None
    assert [entry["phoneNumber"] for entry in truth["releases"]] == [OWNED]
    assert (truth["owned"], truth["purchases"], truth["open"]) == ([], [], {})


def _retained(truth: dict[str, Any], number: dict[str, Any] | None) -> None:
    assert number is None
    assert (truth["owned"], truth["releases"], truth["purchases"]) == ([OWNED], [], [])


STORIES = [
    Story("purchase", _apply, Stage.is_ready, _one_bought, f"provider: POST {RESERVATION}/:purchase"),
    Story("adoption", _apply, Stage.is_ready, _adopted, "cluster: PATCH smsnumber/status", (OWNED,)),
    Story("release", _deletion("Release"), Stage.is_gone, _released, "provider: DELETE /phoneNumbers/NUMBER", (OWNED,)),
    Story("retention", _deletion("Retain"), Stage.is_gone, _retained, "cluster: PATCH smsnumber", (OWNED,)),
]


async def _recorded(house: House, story: Story) -> list[Effect]:
    """Return the effects of an undisturbed run: the shortest of a few, since a busy machine adds looks and retries."""

    async def run() -> list[Effect]:
        async with staged(house, owned=story.owned) as stage:
            await story.begin(stage)
            await stage.until(lambda: story.over(stage))
            story.check(await stage.truth(), await stage.look())
            return stage.ledger.effects

    return min(await asyncio.gather(*(run() for _ in range(RECORDINGS))), key=len)


async def _survives(house: House, story: Story, strike: Strike) -> None:
    """Strike one effect; a killed operator has a successor, and in the end all must be as if nothing had been."""
    async with staged(house, strike=strike, owned=story.owned) as stage:
        await story.begin(stage)
        await stage.struck(lambda: story.over(stage))
        if strike.blow is not Blow.ANSWER_LOST:
            assert stage.operator is not None
            await stage.operator.gone()
            stage.start()
        await stage.until(lambda: story.over(stage))
        story.check(await stage.truth(), await stage.look())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_an_operator_struck_at_any_step_ends_with_the_same_number_and_none_orphaned(
    story: Story, house: House
) -> None:
    effects = await _recorded(house, story)
    assert story.spends in {effect.form for effect in effects}
    survived: set[Strike] = set()
    failures: list[str] = []
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def play(strike: Strike) -> None:
        async with turn:
            try:
                await _survives(house, story, strike)
            except (AssertionError, TimeoutError) as exc:
                failures.append(f"{strike.blow.value}: {strike.effect}\n{type(exc).__name__}: {exc}")
            else:
                survived.add(strike)

    await asyncio.gather(*(play(Strike(effect, blow)) for effect in effects for blow in Blow))

    assert not failures, "\n\n".join(failures)
    assert survived == {Strike(effect, blow) for effect in effects for blow in Blow}
