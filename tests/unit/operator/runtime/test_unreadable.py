"""Objects of another version, which this one cannot read: told once, and gone only when nothing outside belongs to them."""

from __future__ import annotations

import asyncio

import pytest
from unit.operator.runtime.cluster import MemoryKube
from unit.operator.runtime.process import Process
from unit.operator.runtime.widgets import FINALIZER, WidgetKind, widget_body, widget_key

pytestmark = pytest.mark.usefixtures("process")

A = widget_key("a")
SETTLED_S = 10.0


async def settled() -> None:
    await asyncio.sleep(SETTLED_S)


async def test_a_spec_that_this_version_cannot_read_is_a_dead_end_told_once(
    process: Process, kube: MemoryKube, kind: WidgetKind
) -> None:
    kube.put(widget_body("a", spec={"size": "huge"}))
    kube.put(widget_body("b"))
    await settled()
    kube.change(A, annotations={"ehrconnector.io/requestedAt": "now"})
    await settled()

    assert kube.conditions(A) == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert "spec" not in kube.bodies[A]["status"]["conditions"][0]["message"]
    assert "size" in kube.bodies[A]["status"]["conditions"][0]["message"]
    assert kube.bodies[A]["status"]["lastHandledReconcileAt"] == "now"
    assert process.events.posted == [("a", "InvalidSpec")]
    assert kind.names() == ["b"]


async def test_a_spec_that_can_be_read_again_ends_the_dead_end(kube: MemoryKube) -> None:
    kube.put(widget_body("a", spec={"size": "huge"}))
    await settled()

    kube.change(A, spec={"size": 2})
    await settled()

    assert kube.conditions(A) == {"Ready": ("True", "Fits")}


async def test_another_spec_that_cannot_be_read_is_observed_too(kube: MemoryKube) -> None:
    kube.put(widget_body("a", spec={"size": "huge"}))
    await settled()
    kube.change(A, spec={"size": "enormous"})
    await settled()

    assert kube.bodies[A]["status"]["observedGeneration"] == kube.bodies[A]["metadata"]["generation"] == 2


@pytest.mark.parametrize(("status", "gone"), [({}, True), ({"intent": "held"}, False)], ids=["nothing", "something"])
async def test_an_object_that_cannot_be_read_goes_only_when_nothing_outside_belongs_to_it(
    kube: MemoryKube, kind: WidgetKind, status: dict[str, str], *, gone: bool
) -> None:
    kind.finalizer = FINALIZER
    kube.put(widget_body("a", spec={"size": "huge"}, status=status, finalizers=[FINALIZER]))
    kube.begin_deletion(A)
    await settled()

    assert (A not in kube.bodies) is gone
    if not gone:
        assert FINALIZER in kube.bodies[A]["status"]["conditions"][0]["message"]
