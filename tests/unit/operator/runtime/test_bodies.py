"""Bodies are kept small, and say the same."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from unit.operator.runtime.widgets import widget_body

from ehr_operator.runtime.bodies import Compactor

STATUS = {"size": 1, "conditions": [{"type": "Ready", "status": "True", "message": "it fits, and has room to spare"}]}


def received(name: str) -> dict[str, Any]:
    """A body as a parser makes it: nothing of it is shared with another."""
    return json.loads(json.dumps(widget_body(name, status=STATUS, managedFields=[{"manager": "kubectl"}])))


def test_a_compacted_body_says_the_same_but_for_who_wrote_which_field() -> None:
    assert Compactor().compacted(received("a")) == widget_body("a", status=STATUS)


def test_what_two_statuses_have_in_common_is_kept_once() -> None:
    compactor = Compactor()

    conditions = [compactor.compacted(received(name))["status"]["conditions"][0] for name in "ab"]

    assert conditions[0] is conditions[1]


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), ("1", 1), (None, False)])
def test_values_of_different_types_are_not_taken_for_the_same(one: Any, other: Any) -> None:
    compactor = Compactor()
    for value in (one, other):
        seen = compactor.compacted(widget_body("a", status={"size": value}))["status"]["size"]
        assert (seen, type(seen)) == (value, type(value))


def test_what_is_known_does_not_grow_for_ever() -> None:
    compactor = Compactor()
    tracemalloc.start()
    for number in range(20_000):
        compactor.compacted(widget_body("a", status={"size": number, "text": f"{number}" * 20}))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 8 * 2**20


def test_names_of_fields_and_texts_of_status_are_kept_once() -> None:
    compactor = Compactor()

    bodies = [received(name) for name in "ab"]
    bodies[1]["status"]["conditions"][0]["type"] = "Other"
    conditions = [compactor.compacted(body)["status"]["conditions"][0] for body in bodies]

    assert conditions[0] != conditions[1]
    assert conditions[0]["message"] is conditions[1]["message"]
    assert [id(name) for name in conditions[0]] == [id(name) for name in conditions[1]]
