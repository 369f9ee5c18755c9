"""Objects by state, and how old validations are."""

from __future__ import annotations

import math
from typing import Any

from unit.operator.runtime.widgets import WIDGET, widget_body, widget_key

from ehr_operator.kinds import Looks
from ehr_operator.runtime.cache import Cache
from ehr_operator.runtime.census import count_states
from ehr_operator.runtime.metrics import Metrics


def in_state(name: str, type_: str | None) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if type_ == "Ready" else "False"}]
    if type_ not in (None, "Ready"):
        conditions.append({"type": str(type_), "status": "True"})
    return widget_body(name, status={"conditions": conditions} if type_ else None)


def test_objects_are_counted_by_the_state_that_is_true_and_a_state_that_is_left_is_counted_as_none(
    metrics: Metrics,
) -> None:
    cache = Cache({WIDGET: ()})

    def counts() -> dict[str, float | None]:
        count_states(cache, metrics)
        return {
            state: metrics.registry.get_sample_value("ehr_operator_objects", {"kind": WIDGET, "state": state})
            for state in ("Ready", "Reconciling", "Stalled", "New")
        }

    for name, state in (("a", "Ready"), ("b", "Ready"), ("c", "Reconciling"), ("d", "Stalled"), ("e", None)):
        cache.put(widget_key(name), in_state(name, state))
    assert counts() == {"Ready": 2.0, "Reconciling": 1.0, "Stalled": 1.0, "New": 1.0}

    cache.drop(widget_key("d"))
    assert counts() == {"Ready": 2.0, "Reconciling": 1.0, "Stalled": 0.0, "New": 1.0}


def endpoint(url: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"baseURL": url, **spec}}


def ages(metrics: Metrics) -> list[float]:
    return [
        metrics.registry.get_sample_value("ehr_operator_validation_age_seconds", {"endpoint": which}) or 0.0
        for which in ("oldest", "newest")
    ]


def test_the_age_of_a_validation_counts_from_the_last_look_or_from_the_start_of_the_process(metrics: Metrics) -> None:
    now_s = 1000.0
    looks = Looks(lambda: now_s)
    endpoints = [endpoint("https://a.example/r4"), endpoint("https://b.example/r4")]
    now_s = 1010.0
    looks.note("https://a.example/r4")
    looks.note("https://gone.example/r4")

    now_s = 1030.0
    looks.report(endpoints, metrics)
    assert ages(metrics) == [30.0, 20.0]

    looks.report([endpoints[0], endpoint("https://b.example/r4", suspend=True)], metrics)
    assert ages(metrics) == [20.0, 20.0]


def test_without_endpoints_there_is_no_age(metrics: Metrics) -> None:
    Looks().report([], metrics)

    assert all(math.isnan(age) for age in ages(metrics))
