"""A kind for tests: widgets, which have a size and may look at one another's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from ehr_api.meta import API_VERSION, ApiModel, KindStatus
from ehr_operator.runtime.model import Body, Change, Finalized, Key, Object, Outcome, State, parse_object

WIDGET = "Widget"
FINALIZER = "ehrconnector.io/widget"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class WidgetSpec(ApiModel):
    """What is wanted."""

    size: int = Field(default=1, ge=0)
    host: str | None = None
    seen_by: tuple[str, ...] = ()
    """Names of the widgets that look at this one."""


class WidgetStatus(KindStatus):
    """What is known."""

    size: int | None = None
    intent: str | None = None


Widget = Object[WidgetSpec, WidgetStatus]


def widget_key(name: str = "a", namespace: str = "lamna") -> Key:
    return Key(WIDGET, namespace, name)


def widget_body(
    name: str = "a",
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """Return a widget as the API server gives it; keyword arguments are metadata."""
    body: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": WIDGET,
        "metadata": {
            "name": name,
            "namespace": "lamna",
            "uid": f"uid-of-{name}",
            "generation": 1,
            "resourceVersion": "1",
            **metadata,
        },
        "spec": {"size": 1, **(spec or {})},
    }
    return body if status is None else {**body, "status": dict(status)}


def widget(status: WidgetStatus | None = None, **metadata: Any) -> Widget:
    """Return a parsed widget with this status, which went through JSON as it does in a cluster."""
    body = widget_body(status=None if status is None else status.to_api(), **metadata)
    return parse_object(WIDGET, body, WidgetSpec, WidgetStatus)


def fits(**parts: Any) -> Outcome[WidgetStatus]:
    """Return the outcome that all is well."""
    return Outcome(State.READY, "Fits", "it fits", (), WidgetStatus(size=1), **parts)


async def _fit(obj: Widget) -> Outcome[WidgetStatus]:
    return Outcome(State.READY, "Fits", "it fits", (), obj.status.model_copy(update={"size": obj.spec.size}))


async def _let_go(_obj: Widget) -> Finalized:
    return Finalized()


class WidgetKind:
    """Does what a test says; by default all fits at once."""

    kind = WIDGET
    plural = "widgets"
    spec_type = WidgetSpec
    status_type = WidgetStatus
    min_interval_s = 0.125
    indexes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.finalizer: str | None = None
        self.workers = 8
        self.step: Callable[[Widget], Awaitable[Outcome[WidgetStatus]]] = _fit
        self.end: Callable[[Widget], Awaitable[Outcome[WidgetStatus] | Finalized]] = _let_go
        self.mends: Callable[[Change], bool] = lambda _: True
        self.looks: list[tuple[str, float]] = []
        """Which widgets were reconciled, and when."""
        self.ends: list[str] = []
        """Which were finalized."""

    def signal(self, body: Body) -> Hashable:
        """Others look at the size that was reached, and at nothing else."""
        return body.get("status", {}).get("size"), body["spec"]["size"]

    def may_go(self, body: Body) -> bool:
        return "intent" not in body.get("status", {})

    def related(self, body: Body) -> Iterable[Key]:
        return [widget_key(name, body["metadata"]["namespace"]) for name in body["spec"].get("seenBy", ())]

    def mended_by(self, change: Change) -> bool:
        return self.mends(change)

    async def reconcile(self, obj: Widget) -> Outcome[WidgetStatus]:
        self.looks.append((obj.key.name, asyncio.get_running_loop().time()))
        return await self.step(obj)

    async def finalize(self, obj: Widget) -> Outcome[WidgetStatus] | Finalized:
        self.ends.append(obj.key.name)
        return await self.end(obj)

    def names(self) -> list[str]:
        """Return the names of the widgets that were reconciled since the last question."""
        names = [name for name, _ in self.looks]
        self.looks.clear()
        return names
