"""The state file after a process that ended at the worst moment."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ehr_sandbox.acs.messages.model import Text
from ehr_sandbox.acs.model import State
from ehr_sandbox.acs.state_file import StateFileError, Store


def test_without_a_file_nothing_is_kept() -> None:
    store = Store(None)

    store.save(State(shift_s=1))

    assert store.load() == State()


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = State(shift_s=1.5, sold={"18005550100"}, failures=[("purchase", "OutOfStock")])

    Store(tmp_path / "state.json").save(state)

    assert Store(tmp_path / "state.json").load() == state


def test_a_text_that_was_on_its_way_arrives_once_after_a_restart(tmp_path: Path) -> None:
    store, state, now = Store(tmp_path / "state.json"), State(), datetime(2026, 11, 24, 12, tzinfo=UTC)
    for name, after_s in (("first", 0), ("second", 60)):
        due_at = now + timedelta(seconds=after_s)
        state.messages.accept(Text(id=name, sender="a", to="b", text="x", segments=1, accepted_at=now, due_at=due_at))
    before = [one.id for one in state.messages.end_due(now)]
    store.save(state)
    messages = store.load().messages
    later = now + timedelta(seconds=60)

    assert before == ["first"]
    assert [one.id for one in messages.end_due(later)] == ["second"]
    assert messages.end_due(later) == []


def test_a_draft_that_was_torn_leaves_the_state_before_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.json")
    store.save(State(shift_s=1))

    (tmp_path / "state.json.new").write_text('{"shift_s": 2, "so')
    before = store.load()
    store.save(State(shift_s=3))

    assert before == State(shift_s=1)
    assert store.load() == State(shift_s=3)


def test_a_save_that_fails_on_the_disk_leaves_the_state_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "state.json")
    store.save(State(shift_s=1))

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        store.save(State(shift_s=2))

    assert store.load() == State(shift_s=1)


@pytest.mark.parametrize("content", ["", "{", '{"owned": 1}'], ids=["empty", "torn", "another-shape"])
def test_a_file_that_is_no_state_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)

    with pytest.raises(StateFileError, match=r"state\.json' is no state of this simulator"):
        Store(tmp_path / "state.json").load()
