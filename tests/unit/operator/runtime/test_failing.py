"""The controller when something fails: nothing begun is lost, others go on, and pauses are kept."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from unit.operator.runtime.cluster import MemoryKube, answer, unavailable
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import FINALIZER, Widget, WidgetKind, WidgetStatus, fits, widget_body, widget_key

from ehr_operator.runtime.model import ConflictError, Failure, Outcome, State

pytestmark = pytest.mark.usefixtures("process")

A, B = widget_key("a"), widget_key("b")
SETTLED_S = 10.0


async def settled() -> None:
    await asyncio.sleep(SETTLED_S)


def pauses(kind: WidgetKind, name: str = "a") -> list[int]:
    """Whole seconds between the looks at an object."""
    moments = [moment for looked_at, moment in kind.looks if looked_at == name]
    return [round(later - earlier) for earlier, later in pairwise(moments)]


async def unreachable(obj: Widget) -> Outcome[WidgetStatus]:
    return Outcome(State.RECONCILING, "Unreachable", "no answer", (), obj.status, failure=Failure())


# Our own mistakes


async def test_an_exception_is_told_in_status_and_tried_again_and_others_go_on(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def fail(obj: Widget) -> Outcome[WidgetStatus]:
        if obj.key == A:
            raise ZeroDivisionError("secret")
        return fits()

    kind.step = fail
    kube.put(widget_body("a"))
    kube.put(widget_body("b"))
    await settled()

    assert kube.conditions(A) == {"Ready": ("False", "InternalError"), "Reconciling": ("True", "InternalError")}
    assert "secret" not in str(kube.bodies[A])
    assert kube.conditions(B) == {"Ready": ("True", "Fits")}
    assert pauses(kind) == [2, 4]
    assert process.reconciles("error") == 3


async def test_an_intent_that_was_written_before_the_exception_is_kept(kube: MemoryKube, kind: WidgetKind) -> None:
    async def fail(obj: Widget) -> Outcome[WidgetStatus]:
        if obj.status.intent is None:
            await kube.write_intent(obj, obj.status.model_copy(update={"intent": "buy"}))
        raise ZeroDivisionError

    kind.step = fail
    kube.put(widget_body("a"))
    await settled()

    assert kube.bodies[A]["status"]["intent"] == "buy"
    assert kube.conditions(A)["Reconciling"] == ("True", "InternalError")


async def test_an_intent_that_the_watch_has_not_brought_yet_is_kept_too(kube: MemoryKube, kind: WidgetKind) -> None:
    async def fail(_obj: Widget) -> Outcome[WidgetStatus]:
        # Another process, the leader before us, wrote this; nobody has told us yet.
        kube.bodies[A] = {**kube.bodies[A], "status": {"intent": "buy"}}
        raise ZeroDivisionError

    kind.step = fail
    kube.put(widget_body("a"))
    await settled()

    assert kube.bodies[A]["status"]["intent"] == "buy"
    assert kube.conditions(A)["Reconciling"] == ("True", "InternalError")


async def test_an_exception_about_an_object_that_is_gone_is_forgotten(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def fail(_obj: Widget) -> Outcome[WidgetStatus]:
        del kube.bodies[A]
        raise ZeroDivisionError

    kind.step = fail
    kube.put(widget_body("a"))
    await settled()

    assert process.cache.get(A) is None
    assert kind.names() == ["a"]
    assert kube.bodies == {}


# Conflicts


async def test_a_conflict_starts_again_from_what_the_api_server_holds(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    sizes: list[int] = []

    async def conflict_once(obj: Widget) -> Outcome[WidgetStatus]:
        sizes.append(obj.spec.size)
        if len(sizes) == 1:
            kube.on_change = lambda _type, _body: None
            kube.change(A, spec={"size": 7})
            raise ConflictError("changed")
        return fits()

    kind.step = conflict_once
    kube.put(widget_body("a"))
    await settled()

    assert sizes == [1, 7]
    assert kube.reads == [A]
    assert kube.conditions(A) == {"Ready": ("True", "Fits")}
    assert (process.reconciles("requeue"), process.reconciles("error")) == (1, 0)


async def test_a_conflict_over_the_finalizer_starts_again(kube: MemoryKube, kind: WidgetKind) -> None:
    kind.finalizer = FINALIZER
    kube.put(widget_body("a"))
    kube.bodies[A]["metadata"]["resourceVersion"] = "9999"
    await settled()

    assert kube.bodies[A]["metadata"]["finalizers"] == [FINALIZER]
    assert kind.names() == ["a"]


async def test_an_object_that_is_gone_meanwhile_is_forgotten_and_those_who_look_at_it_are_told(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    async def gone(obj: Widget) -> Outcome[WidgetStatus]:
        if obj.key == A:
            del kube.bodies[A]
            raise ConflictError("gone")
        return fits()

    kube.put(widget_body("b"))
    await settled()
    kind.names()
    kind.step = gone
    kube.put(widget_body("a", spec={"seenBy": ["b"]}))
    await settled()

    assert process.cache.get(A) is None
    assert kind.names().count("a") == 1
    assert process.cache.get(B) is not None


# An API server that does not answer


async def test_a_write_that_fails_is_tried_again_after_growing_pauses(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.fail = unavailable("status")
    kube.put(widget_body("a"))
    await asyncio.sleep(20.0)
    assert pauses(kind) == [2, 4, 8]
    assert process.reconciles("error") == 4

    kube.fail = answer
    await asyncio.sleep(20.0)
    assert kube.conditions(A) == {"Ready": ("True", "Fits")}
    kind.names()

    kube.fail = unavailable("status")
    kube.change(A, spec={"size": 2})
    await settled()
    assert pauses(kind) == [2, 4]


async def test_one_object_that_cannot_be_written_delays_no_other(kube: MemoryKube, kind: WidgetKind) -> None:
    kind.workers = 1
    kube.fail = unavailable("status", name="a")
    for name in "ab":
        kube.put(widget_body(name))
    await asyncio.sleep(1.0)

    assert kube.conditions(B) == {"Ready": ("True", "Fits")}


async def test_an_exception_that_cannot_be_told_is_tried_again(kube: MemoryKube, kind: WidgetKind) -> None:
    async def fail(_obj: Widget) -> Outcome[WidgetStatus]:
        raise ZeroDivisionError

    kind.step = fail
    kube.fail = unavailable("read")
    kube.put(widget_body("a"))
    await settled()

    assert pauses(kind) == [2, 4]
    assert kube.writes == []


async def test_a_conflict_whose_fresh_read_fails_is_tried_again(kube: MemoryKube, kind: WidgetKind) -> None:
    async def conflict(_obj: Widget) -> Outcome[WidgetStatus]:
        raise ConflictError("changed")

    kind.step = conflict
    kube.fail = unavailable("read")
    kube.put(widget_body("a"))
    await settled()

    assert pauses(kind) == [2, 4]


async def test_an_end_whose_last_write_fails_is_repeated(kube: MemoryKube, kind: WidgetKind) -> None:
    kind.finalizer = FINALIZER
    kube.put(widget_body("a"))
    await settled()
    kube.fail = unavailable("finalizers")
    kube.begin_deletion(A)
    await asyncio.sleep(1.0)
    assert kind.ends == ["a"]

    kube.fail = answer
    await settled()

    assert kind.ends == ["a", "a"]
    assert kube.bodies == {}


# The back-off


async def test_a_failing_object_is_tried_again_after_pauses_that_double(kube: MemoryKube, kind: WidgetKind) -> None:
    kind.step = unreachable
    kube.put(widget_body("a"))
    await asyncio.sleep(40.0)

    assert pauses(kind) == [2, 4, 8, 16]
    assert kube.bodies[A]["status"]["retry"]["failures"] == 5


async def test_a_failing_object_is_tried_at_once_when_somebody_acted(kube: MemoryKube, kind: WidgetKind) -> None:
    kind.step = unreachable
    kube.put(widget_body("a"))
    await asyncio.sleep(40.0)
    kind.names()

    kube.change(A, spec={"size": 2})
    await asyncio.sleep(1.0)

    assert kind.names() == ["a"]


async def test_a_failing_object_is_tried_at_once_when_the_spec_of_what_it_looks_at_changed(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.put(widget_body("b", spec={"seenBy": ["a"]}))
    await settled()
    kind.step = unreachable
    kube.put(widget_body("a"))
    await asyncio.sleep(40.0)
    kind.names()

    kind.step = unreachable
    kube.change(B, spec={"size": 2})
    await asyncio.sleep(1.0)

    assert "a" in kind.names()


async def test_a_change_of_what_it_looks_at_that_cannot_have_mended_it_does_not_lift_the_back_off(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    kind.mends = lambda change: change.before is not None and change.after is not None and not change.kind
    kube.put(widget_body("b", spec={"seenBy": ["a"]}))
    await settled()
    kind.step = unreachable
    kube.put(widget_body("a"))
    await asyncio.sleep(40.0)
    kind.names()

    kube.change(B, spec={"size": 2})
    kube.put(widget_body("c", spec={"seenBy": ["a"]}))
    kube.begin_deletion(B)
    await asyncio.sleep(1.0)

    assert "a" not in kind.names()


async def test_a_changed_status_of_what_it_looks_at_does_not_lift_the_back_off(
    kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.put(widget_body("b", spec={"seenBy": ["a"]}))
    await settled()
    kind.step = unreachable
    kube.put(widget_body("a"))
    await asyncio.sleep(40.0)
    kind.names()

    kube.put({**kube.bodies[B], "status": {**kube.bodies[B]["status"], "size": 9}})
    await asyncio.sleep(1.0)

    assert kind.names() == []
