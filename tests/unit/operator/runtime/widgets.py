"""A kind for tests: widgets, which have a size and may look at one another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from ehr_api.meta import API_VERSION, ApiModel, KindStatus
from ehr_operator.runtime.model import Key, Object, parse_object

WIDGET = "Widget"
FINALIZER = "ehrconnector.io/widget"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class WidgetSpec(ApiModel):
    """What is wanted."""

    size: int = Field(default=1, ge=0)
    looks_at: str | None = None


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
