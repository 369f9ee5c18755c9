"""Bodies are kept small, and say the same."""

from __future__ import annotations

import json
from typing import Any

from unit.operator.runtime.widgets import widget_body

from ehr_operator.runtime.bodies import Compactor

STATUS = {"size": 1, "conditions": [{"type": "Ready", "status": "True", "message": "it fits, and has room to spare"}]}


def received(name: str) -> dict[str, Any]:
    """A body as a parser makes it: nothing of it is shared with another."""
    return json.loads(json.dumps(widget_body(name, status=STATUS, managedFields=[{"manager": "kubectl"}])))


def test_a_compacted_body_says_the_same_but_for_who_wrote_which_field() -> None:
    assert Compactor().compacted(received("a")) == widget_body("a", status=STATUS)


def test_names_of_fields_and_texts_of_status_are_kept_once() -> None:
    compactor = Compactor()

    conditions = [compactor.compacted(received(name))["status"]["conditions"][0] for name in "ab"]

    assert conditions[0]["message"] is conditions[1]["message"]
    assert [id(name) for name in conditions[0]] == [id(name) for name in conditions[1]]
