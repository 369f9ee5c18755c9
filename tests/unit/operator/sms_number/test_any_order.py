"""Faults in any order that hypothesis can think of: never two purchases for one SmsNumber, and one when faults end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from unit.operator.conftest import number_body
from unit.operator.sms_number.world import Blow, World

from ehr_operator.runtime.model import Key, Outcome, State

_blows = st.dictionaries(st.integers(1, 14), st.sampled_from(Blow), max_size=3)
_which = st.integers(0, 2)


class Purchases(RuleBasedStateMachine):
    """SmsNumbers of one organisation, reconciled while everything goes wrong."""

    names: ClassVar[tuple[str, ...]]
    pauses_s: ClassVar[tuple[float, ...]]
    slowest_s: ClassVar[float]
    """The longest that an operation or a listing takes."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    @initialize(stock=st.integers(1, 2), owned=st.booleans())
    def begin(self, stock: int, owned: bool) -> None:
        self.world = World(settings={"numbers_per_area": stock})
        self.keys: list[Key] = [self.world.add(name) for name in self.names]
        self.adoptable, self.lost = 1 if owned else 0, 0
        if owned:
            self._do(self.world.control("POST", "state", {"own": ["+18335550199"]}))

    @rule(which=_which, blows=_blows, seen=st.booleans())
    def reconcile(self, which: int, blows: dict[int, Blow], seen: bool) -> None:
        self._do(self.world.reconcile(self.keys[which % len(self.keys)], *blows.items(), seen=seen))

    @rule(blows=_blows)
    def reconcile_all_at_a_time(self, blows: dict[int, Blow]) -> None:
        self._do(self._all_at_a_time(blows))

    async def _all_at_a_time(self, blows: dict[int, Blow]) -> None:
        self.world.fate.blows, self.world.fate.moments = blows, 0
        kind, api = self.world.kind, self.world.api
        passes = (kind.reconcile(api.object(kind, key)) for key in self.keys)
        outcomes = await asyncio.gather(*passes, return_exceptions=True)
        self.world.fate.blows = {}
        for key, outcome in zip(self.keys, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                api.settle(key, outcome)
        if any(not isinstance(outcome, Exception) for outcome in outcomes if isinstance(outcome, BaseException)):
            self.world.restart()

    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        self.world.clock.advance(data.draw(st.sampled_from(self.pauses_s)))

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule(which=_which)
    def the_object_is_lost_and_made_anew(self, which: int) -> None:
        key = self.keys[which % len(self.keys)]
        self.lost += 1
        self.world.api.remove(key)
        self.world.api.put(number_body(key.name, uid=f"{key.name}-after-loss-{self.lost}"))
        self.world.restart()

    @rule(which=_which)
    def somebody_else_changes_the_object(self, which: int) -> None:
        note = {"metadata": {"annotations": {"note": str(self.world.fate.moments)}}}
        self.world.api.change(self.keys[which % len(self.keys)], note, seen=False)

    @rule(operation_part=st.sampled_from([0, 0.5, 1]), listing_part=st.sampled_from([0, 0.5, 1]))
    def provider_gets_slow(self, operation_part: float, listing_part: float) -> None:
        self._do(self._behave(operation_part * self.slowest_s, listing_part * self.slowest_s))

    async def _behave(self, operation_s: float, listing_s: float) -> None:
        behaviour = {"operation_seconds": operation_s, "listing_delay_s": listing_s}
        await self.world.control("PATCH", "settings", behaviour)

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        for key in self.keys:
            assert len(self._do(self.world.bought_for(key))) <= 1
        assert len(self._do(self.world.purchases())) <= len(self.keys)

    @invariant()
    def no_number_is_held_by_two(self) -> None:
        held = [number for key in self.keys if (number := self.world.status(key).phone_number)]
        assert len(held) == len(set(held))

    def teardown(self) -> None:
        try:
            if hasattr(self, "keys"):
                self._do(self._end())
        finally:
            self._runner.close()

    async def _end(self) -> None:
        """Let all faults end: then every object holds a number of its own, bought once or adopted."""
        world = self.world
        await self._behave(0, 0)
        world.api.relist()
        held = await self._all_held()
        assert len(set(held)) == len(self.keys)
        bought = [await world.bought_for(key) for key in self.keys]
        adopted = [key for key, numbers in zip(self.keys, bought, strict=True) if not numbers]
        assert len(adopted) <= self.adoptable + self.lost
        assert all(numbers in ([], [number]) for numbers, number in zip(bought, held, strict=True))
        purchases = len(await world.purchases())
        # What was bought for an object that was lost is adopted, by its successor or by another object.
        assert len(self.keys) - len(adopted) <= purchases <= len(self.keys)
        assert self.lost or purchases == len(self.keys) - len(adopted)
        await world.aclose()

    async def _all_held(self) -> list[str | None]:
        """Make passes over all objects in turn, as the operator does: one may wait for what is bought for another."""
        outcomes: list[Outcome[Any] | None] = []
        for _ in range(400):
            outcomes = [await self.world.reconcile(key) for key in self.keys]
            if all(outcome is not None and outcome.state is State.READY for outcome in outcomes):
                return [self.world.status(key).phone_number for key in self.keys]
            self.world.clock.advance(60.0)
        raise AssertionError(f"not all are held: {[outcome and outcome.reason for outcome in outcomes]}")


class OneNumber(Purchases):
    names = ("sms-0",)
    pauses_s = (5.0, 60.0, 1000.0, 3 * 3600.0, 40 * 24 * 3600.0)
    slowest_s = 900.0


class SeveralNumbers(Purchases):
    """Side by side: a hold that has lapsed may be somebody else's next."""

    names = ("sms-0", "sms-1", "sms-2")
    pauses_s = (5.0, 60.0, 1000.0, 3 * 3600.0)
    slowest_s = 900.0


_SETTINGS = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
OneNumber.TestCase.settings = _SETTINGS
SeveralNumbers.TestCase.settings = _SETTINGS
TestOneNumberIsBoughtExactlyOnce = OneNumber.TestCase
TestSeveralNumbersAreBoughtExactlyOnceEach = SeveralNumbers.TestCase
