"""Counts the objects by state, when metrics are asked for: no reconcile pays for it."""

from __future__ import annotations

from collections import Counter

from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.metrics import Metrics
from ehr_operator.runtime.model import Body, State

_NEW = "New"


def count_states(cache: Cache, metrics: Metrics) -> None:
    """Set the numbers of objects of each kind and state."""
    for kind in cache.kinds:
        found = Counter(_state(body) for body in cache.bodies(kind))
        for state in (*State, _NEW):
            metrics.objects.labels(kind, str(state)).set(found[str(state)])


def _state(body: Body) -> str:
    """Return the state that is True, exactly one of which is once somebody has looked."""
    true = {one["type"] for one in body.get("status", {}).get("conditions", []) if one["status"] == "True"}
    return next((str(state) for state in State if state in true), _NEW)
