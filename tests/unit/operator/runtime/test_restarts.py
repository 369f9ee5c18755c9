"""What a new process does with the objects that an earlier one left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import FINALIZER, Widget, WidgetKind, WidgetStatus, widget_body, widget_key

from ehr_operator.runtime.model import Failure, Outcome, State

A, B = widget_key("a"), widget_key("b")
SETTLED_S = 10.0


async def settled() -> None:
    await asyncio.sleep(SETTLED_S)


async def refused(obj: Widget) -> Outcome[WidgetStatus]:
    failure = Failure(retry_after_s=600.0)
    return Outcome(State.RECONCILING, "Refused", "come back later", (), obj.status, failure=failure)


async def test_a_restart_writes_nothing_where_nothing_has_changed(
    start: Callable[[], Process], kube: MemoryKube, kind: WidgetKind
) -> None:
    first = start()
    for name in "ab":
        kube.put(widget_body(name))
    await settled()
    await first.stop()
    kube.writes.clear()

    start()
    await settled()

    assert sorted(kind.names()) == ["a", "a", "b", "b"]
    assert kube.writes == []


async def test_a_spec_that_cannot_be_read_is_told_once_over_all_restarts(
    start: Callable[[], Process], kube: MemoryKube
) -> None:
    first = start()
    kube.put(widget_body("a", spec={"size": "huge"}))
    await settled()
    await first.stop()

    second = start()
    await settled()

    assert len(kube.written("status")) == 1
    assert second.events.posted == []


async def test_after_a_restart_a_changed_spec_of_what_it_looks_at_lifts_the_back_off(
    start: Callable[[], Process], kube: MemoryKube, kind: WidgetKind
) -> None:
    first = start()
    kube.put(widget_body("b", spec={"seenBy": ["a"]}))
    await settled()
    kind.step = refused
    kube.put(widget_body("a"))
    await settled()
    await first.stop()
    start()
    await settled()
    kind.names()

    kube.change(B, spec={"size": 2})
    await settled()

    assert "a" in kind.names()


async def test_a_back_off_holds_over_a_restart(
    start: Callable[[], Process], kube: MemoryKube, kind: WidgetKind
) -> None:
    kind.step = refused
    first = start()
    kube.put(widget_body("a"))
    await settled()
    await first.stop()
    assert kind.names() == ["a"]

    start()
    await asyncio.sleep(500.0)
    assert kind.names() == []
    await asyncio.sleep(100.0)
    assert kind.names() == ["a"]


async def test_a_back_off_of_a_deletion_holds_over_a_restart(
    start: Callable[[], Process], kube: MemoryKube, kind: WidgetKind
) -> None:
    kind.finalizer, kind.end = FINALIZER, refused
    first = start()
    kube.put(widget_body("a", finalizers=[FINALIZER]))
    await settled()
    kube.begin_deletion(A)
    await settled()
    await first.stop()
    assert kind.ends == ["a"]

    start()
    await asyncio.sleep(500.0)
    assert kind.ends == ["a"]
    await asyncio.sleep(100.0)
    assert kind.ends == ["a", "a"]
