"""A controller whose process does not lead (yet, or any more)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import Widget, WidgetKind, WidgetStatus, fits, widget_body, widget_key

from ehr_operator.runtime.model import Failure, Outcome, State

A = widget_key("a")
SETTLED_S = 10.0


@pytest.fixture
async def standby(start: Callable[[], Process]) -> Process:
    """A process that stands by; what a test puts is brought to it by the watch."""
    process = start()
    process.intake.standing_by = True
    return process


async def settled() -> None:
    await asyncio.sleep(SETTLED_S)


async def test_who_stands_by_keeps_all_and_reconciles_nothing(
    standby: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.put(widget_body("a", spec={"seenBy": ["b"]}))
    kube.put(widget_body("b"))
    kube.put(widget_body("c"))
    await settled()
    kube.change(A, spec={"size": 2})
    kube.begin_deletion(widget_key("c"))
    await settled()

    assert kind.names() == []
    assert (kube.writes, standby.events.posted) == ([], [])
    assert [body["spec"]["size"] for body in standby.cache.list("Widget", "")] == [2, 1]


async def test_who_comes_to_lead_reconciles_each_object_once(
    standby: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    for name in "abc":
        kube.put(widget_body(name))
    await settled()

    standby.intake.lead()
    await settled()

    assert sorted(kind.names()) == ["a", "b", "c"]
    assert kube.conditions(A)["Ready"] == ("True", "Fits")


async def test_a_back_off_goes_on_under_the_next_leader_although_it_saw_the_spec_change(
    start: Callable[[], Process], kube: MemoryKube, kind: WidgetKind
) -> None:
    async def refused(obj: Widget) -> Outcome[WidgetStatus]:
        failure = Failure(retry_after_s=600.0)
        return Outcome(State.RECONCILING, "Refused", "come back later", (), obj.status, failure=failure)

    kind.step = refused
    leader = start()
    told_leader = kube.on_change
    standby = start()
    standby.intake.standing_by = True
    told_standby = kube.on_change
    kube.on_write = leader.intake.seen
    kube.on_change = lambda type_, body: (told_leader(type_, body), told_standby(type_, body))[0]
    kube.put(widget_body("a"))
    await settled()
    kube.change(A, spec={"size": 2})
    await settled()
    await leader.killed()
    kind.looks.clear()

    standby.intake.lead()
    await settled()

    assert kind.names() == []
    await asyncio.sleep(600.0)
    assert kind.names() == ["a"]


async def test_a_controller_that_is_cancelled_ends_what_is_under_way(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def slow(_obj: Widget) -> Outcome[WidgetStatus]:
        await asyncio.sleep(5.0)
        return fits()

    kind.step = slow
    kube.put(widget_body("a"))
    await asyncio.sleep(1.0)
    assert kind.names() == ["a"]

    await process.killed()
    await settled()

    assert kube.writes == []
