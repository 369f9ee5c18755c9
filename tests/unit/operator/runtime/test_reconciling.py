"""The controller with objects that are well: what is written, in which order, and who is woken by whom."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import FINALIZER, Widget, WidgetKind, WidgetStatus, fits, widget_body, widget_key

from ehr_api.meta import REQUESTED_AT
from ehr_operator.runtime.model import Finalized, Note, Outcome, State

pytestmark = pytest.mark.usefixtures("process")

A, B = widget_key("a"), widget_key("b")
SETTLED_S = 10.0


async def settled() -> None:
    await asyncio.sleep(SETTLED_S)


# Status


async def test_a_new_object_is_reconciled_and_its_status_written(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.put(widget_body("a", spec={"size": 3}))
    await settled()

    assert kind.names() == ["a"]
    assert kube.conditions(A) == {"Ready": ("True", "Fits")}
    assert (kube.bodies[A]["status"]["size"], kube.bodies[A]["status"]["observedGeneration"]) == (3, 1)
    assert process.reconciles("success") == 1


async def test_our_own_write_of_status_wakes_nobody(kube: MemoryKube, kind: WidgetKind) -> None:
    kube.put(widget_body("a"))
    await settled()
    kind.names()

    kube.put(kube.bodies[A])
    await settled()

    assert kind.names() == []


async def test_a_changed_spec_is_reconciled_again(kube: MemoryKube, kind: WidgetKind) -> None:
    kube.put(widget_body("a"))
    await settled()

    kube.change(A, spec={"size": 5})
    await settled()

    assert kind.names() == ["a", "a"]
    assert (kube.bodies[A]["status"]["size"], kube.bodies[A]["status"]["observedGeneration"]) == (5, 2)


async def test_a_request_is_answered_and_labels_of_others_are_not_looked_at(kube: MemoryKube, kind: WidgetKind) -> None:
    kube.put(widget_body("a"))
    await settled()
    kind.names()

    kube.change(A, labels={"team": "blue"}, annotations={"example.com/note": "x"})
    await settled()
    assert kind.names() == []

    kube.change(A, annotations={REQUESTED_AT: "now"})
    await settled()
    assert kind.names() == ["a"]
    assert kube.bodies[A]["status"]["lastHandledReconcileAt"] == "now"


async def test_changes_in_quick_succession_are_taken_together(kube: MemoryKube, kind: WidgetKind) -> None:
    kube.put(widget_body("a"))
    await settled()
    kind.names()

    for size in range(10):
        kube.change(A, spec={"size": size})
        await asyncio.sleep(0.01)
    await settled()

    assert len(kind.names()) == 2
    assert kube.bodies[A]["status"]["size"] == 9


async def test_one_object_is_never_reconciled_twice_at_a_time(kube: MemoryKube, kind: WidgetKind) -> None:
    under_way: list[str] = []
    most = 0

    async def slow(obj: Widget) -> Outcome[WidgetStatus]:
        nonlocal most
        under_way.append(obj.key.name)
        most = max(most, len(under_way))
        await asyncio.sleep(1.0)
        under_way.remove(obj.key.name)
        return fits()

    kind.step = slow
    kube.put(widget_body("a"))
    for size in range(5):
        await asyncio.sleep(0.3)
        kube.change(A, spec={"size": size})
    await settled()

    assert most == 1
    assert kube.bodies[A]["status"]["observedGeneration"] == 6


async def test_a_look_without_a_change_is_taken_when_the_outcome_asked_for_it(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def periodic(_obj: Widget) -> Outcome[WidgetStatus]:
        return fits(requeue_after_s=60.0)

    kind.step = periodic
    kube.put(widget_body("a"))
    await asyncio.sleep(150.0)

    moments = [moment for _, moment in kind.looks]
    assert [round(later - earlier) for earlier, later in pairwise(moments)] == [60, 60]
    assert len(kube.written("status")) == 1
    assert process.reconciles("requeue_after") == 3


async def test_a_changed_condition_and_the_kinds_own_notes_become_events(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def stall(_obj: Widget) -> Outcome[WidgetStatus]:
        return Outcome(State.STALLED, "TooLarge", "no", (), WidgetStatus(), notes=(Note("Measured", "9"),))

    kind.step = stall
    kube.put(widget_body("a"))
    await settled()

    assert process.events.posted == [("a", "TooLarge"), ("a", "Measured")]


# Finalizer and deletion


async def test_our_finalizer_is_set_before_the_first_reconcile(kube: MemoryKube, kind: WidgetKind) -> None:
    seen: list[list[str]] = []

    async def look(obj: Widget) -> Outcome[WidgetStatus]:
        seen.append(obj.body["metadata"]["finalizers"])
        return fits()

    kind.finalizer, kind.step = FINALIZER, look
    kube.put(widget_body("a", finalizers=["example.com/other"]))
    await settled()

    assert seen == [["example.com/other", FINALIZER]]
    assert [write.what for write in kube.writes] == ["finalizers", "status"]


async def test_our_finalizer_is_set_again_when_somebody_took_it_away(kube: MemoryKube, kind: WidgetKind) -> None:
    kind.finalizer = FINALIZER
    kube.put(widget_body("a"))
    await settled()

    kube.change(A, finalizers=[])
    await settled()

    assert kube.bodies[A]["metadata"]["finalizers"] == [FINALIZER]


async def test_a_deleted_object_is_finalized_and_then_loses_our_finalizer_alone(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    kind.finalizer = FINALIZER
    kube.put(widget_body("a", finalizers=["example.com/first", FINALIZER, "example.com/last"]))
    await settled()
    kind.names()

    kube.begin_deletion(A)
    await settled()

    assert (kind.ends, kind.names()) == (["a"], [])
    assert kube.bodies[A]["metadata"]["finalizers"] == ["example.com/first", "example.com/last"]


async def test_an_object_held_by_nobody_else_is_gone_after_its_end(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def leave(_obj: Widget) -> Finalized:
        return Finalized(notes=(Note("Released", "gone"),))

    kind.finalizer, kind.end = FINALIZER, leave
    kube.put(widget_body("a"))
    await settled()

    kube.begin_deletion(A)
    await settled()

    assert (kube.bodies, process.cache.get(A)) == ({}, None)
    assert process.events.posted == [("a", "Released")]


async def test_an_end_that_must_wait_keeps_the_finalizer_and_says_why(kube: MemoryKube, kind: WidgetKind) -> None:
    async def wait(obj: Widget) -> Outcome[WidgetStatus] | Finalized:
        if len(kind.ends) > 2:
            return Finalized()
        return Outcome(State.RECONCILING, "InUse", "b looks at it", (), obj.status, requeue_after_s=20.0)

    kind.finalizer, kind.end = FINALIZER, wait
    kube.put(widget_body("a"))
    await settled()

    kube.begin_deletion(A)
    await settled()
    assert kube.bodies[A]["metadata"]["finalizers"] == [FINALIZER]
    assert kube.conditions(A) == {"Ready": ("False", "InUse"), "Reconciling": ("True", "InUse")}

    await asyncio.sleep(60.0)
    assert kube.bodies == {}


async def test_a_deleted_object_without_our_finalizer_is_neither_reconciled_nor_finalized(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    kind.finalizer = FINALIZER
    kube.put(widget_body("a", finalizers=["example.com/other"], deletionTimestamp="2026-03-02T08:59:00Z"))
    await settled()

    assert (kind.names(), kind.ends, kube.writes) == ([], [], [])


async def test_a_deletion_goes_before_the_changes_that_wait(kube: MemoryKube, kind: WidgetKind) -> None:
    order: list[str] = []

    async def slow(obj: Widget) -> Outcome[WidgetStatus]:
        order.append(obj.key.name)
        await asyncio.sleep(0.2)
        return fits()

    async def end(_obj: Widget) -> Finalized:
        order.append("the end of a")
        return Finalized()

    kind.finalizer, kind.workers, kind.end = FINALIZER, 1, end
    kube.put(widget_body("a"))
    await settled()
    kind.step = slow
    for name in "bcd":
        kube.put(widget_body(name))
    await asyncio.sleep(0.1)

    kube.begin_deletion(A)
    await settled()

    assert order[:2] == ["b", "the end of a"]
    assert sorted(order[2:]) == ["c", "d"]


# Related objects


async def test_related_objects_are_woken_by_a_changed_signal_and_by_nothing_else(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    for name in "bc":
        kube.put(widget_body(name))
    kube.put(widget_body("a", spec={"seenBy": ["b"]}))
    await settled()
    kind.names()

    kube.change(A, annotations={REQUESTED_AT: "now"}, labels={"team": "blue"})
    await settled()
    assert kind.names() == ["a"]

    kube.change(A, spec={"size": 7})
    await settled()
    assert sorted(set(kind.names())) == ["a", "b"]


async def test_related_objects_are_woken_when_the_object_appears_and_when_it_vanishes(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    for name in "bc":
        kube.put(widget_body(name))
    await settled()
    kind.names()

    kube.put(widget_body("a", spec={"seenBy": ["b"]}, finalizers=["example.com/other"]))
    await settled()
    assert sorted(set(kind.names())) == ["a", "b"]

    kube.begin_deletion(A)
    await settled()
    kind.names()
    kube.change(A, finalizers=[])
    await settled()
    assert kind.names() == ["b"]


async def test_those_that_were_looked_at_before_are_woken_too(kube: MemoryKube, kind: WidgetKind) -> None:
    for name in "bc":
        kube.put(widget_body(name))
    kube.put(widget_body("a", spec={"seenBy": ["b"]}))
    await settled()
    kind.names()

    kube.change(A, spec={"seenBy": ["c"], "size": 2})
    await settled()

    assert set(kind.names()) == {"a", "b", "c"}


async def test_an_outcome_wakes_the_objects_that_it_names(kube: MemoryKube, kind: WidgetKind) -> None:
    async def wake(obj: Widget) -> Outcome[WidgetStatus]:
        return fits(wake=(B, widget_key("unknown")) if obj.key == A else ())

    for name in "bc":
        kube.put(widget_body(name))
    await settled()
    kind.names()
    kind.step = wake

    kube.put(widget_body("a"))
    await settled()

    assert kind.names() == ["a", "b"]


# Lists


async def test_a_list_drops_what_the_watch_never_told_to_be_gone(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.put(widget_body("b"))
    kube.put(widget_body("a", spec={"seenBy": ["b"]}))
    await settled()
    kind.names()
    del kube.bodies[A]
    kube.version += 1

    process.relist()
    await settled()

    assert process.cache.get(A) is None
    assert kind.names() == ["b"]


async def test_a_list_brings_what_the_watch_never_told(process: Process, kube: MemoryKube, kind: WidgetKind) -> None:
    kube.on_change = lambda _type, _body: None
    kube.put(widget_body("a"))
    await settled()
    assert kind.names() == []

    process.relist()
    await settled()

    assert kind.names() == ["a"]


async def test_a_list_does_not_drop_what_was_created_after_it(process: Process, kube: MemoryKube) -> None:
    kube.put(widget_body("a"))
    await settled()
    bodies, version = list(kube.bodies.values()), kube.version

    kube.put(widget_body("b"))
    await settled()
    process.take_in(bodies, version)
    await settled()

    assert process.cache.keys("Widget") == {A, B}


async def test_a_list_of_unchanged_objects_wakes_nobody(process: Process, kube: MemoryKube, kind: WidgetKind) -> None:
    kube.put(widget_body("a", spec={"seenBy": ["a"]}))
    await settled()
    kind.names()

    process.relist()
    await settled()

    assert kind.names() == []
