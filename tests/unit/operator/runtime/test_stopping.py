"""The controller told to stop: what is under way may end, within limits."""

from __future__ import annotations

import asyncio

from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import Widget, WidgetKind, WidgetStatus, fits, widget_body, widget_key

from ehr_operator.runtime.model import Outcome

A, B = widget_key("a"), widget_key("b")


async def test_a_stop_ends_what_is_under_way_and_begins_nothing_new(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def slow(_obj: Widget) -> Outcome[WidgetStatus]:
        await asyncio.sleep(0.24)
        return fits()

    kind.step, kind.workers = slow, 1
    kube.put(widget_body("a"))
    await asyncio.sleep(0.1)
    kube.put(widget_body("b"))
    await asyncio.sleep(0.1)

    before_s = asyncio.get_running_loop().time()
    await process.stop()

    assert asyncio.get_running_loop().time() - before_s < 0.2
    assert kind.names() == ["a"]
    assert kube.conditions(A) == {"Ready": ("True", "Fits")}
    assert kube.conditions(B) == {}


async def test_a_stop_cuts_what_does_not_end_in_time(process: Process, kube: MemoryKube, kind: WidgetKind) -> None:
    cut: list[str] = []

    async def hang(obj: Widget) -> Outcome[WidgetStatus]:
        try:
            await asyncio.sleep(3600.0)
        except asyncio.CancelledError:
            cut.append(obj.key.name)
            raise
        return fits()

    kind.step = hang
    kube.put(widget_body("a"))
    await asyncio.sleep(1.0)

    before_s = asyncio.get_running_loop().time()
    await process.stop()
    await asyncio.sleep(0)

    assert asyncio.get_running_loop().time() - before_s < 16.0
    assert cut == ["a"]
    assert kube.writes == []
