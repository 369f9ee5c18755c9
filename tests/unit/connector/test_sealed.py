"""What travels with the browser: for whom it opens, until when, and that nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ehr_connector.keys.secret import SecretKeys, new_secret_key
from ehr_connector.launch.sealed import ExpiredError, OtherBrowserError, Sealed, SealedError, Sealer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LIFE = timedelta(minutes=10)


class Note(Sealed):
    """Something that travels."""

    text: str


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> SecretKeys:
    """One key."""
    new_secret_key(tmp_path, NOW - timedelta(days=1))
    return SecretKeys(tmp_path, clock)


@pytest.fixture
def sealer(keys: SecretKeys, clock: Clock) -> Sealer[Note]:
    """A sealer of notes."""
    return Sealer(keys, Note, purpose="note", life=LIFE, now=clock)


def test_what_was_sealed_opens_in_the_same_browser(sealer: Sealer[Note]) -> None:
    assert sealer.open(sealer.seal(Note(text="hello"), "mine"), "mine").text == "hello"


def test_it_opens_until_its_life_is_over_and_not_longer(sealer: Sealer[Note], clock: Clock) -> None:
    text = sealer.seal(Note(text="hello", site="ab"), "mine")
    clock.at = NOW + LIFE - timedelta(seconds=1)
    assert sealer.open(text, "mine").text == "hello"
    clock.at = NOW + LIFE
    with pytest.raises(ExpiredError) as told:
        sealer.open(text, "mine")
    assert told.value.site == "ab"


@pytest.mark.parametrize("browser", [None, "", "other", "mine "])
def test_it_opens_in_no_other_browser(sealer: Sealer[Note], browser: str | None) -> None:
    text = sealer.seal(Note(text="hello", site="ab"), "mine")
    with pytest.raises(OtherBrowserError) as told:
        sealer.open(text, browser)
    assert told.value.site == "ab"


def test_who_comes_from_another_browser_is_not_told_that_it_has_ended(sealer: Sealer[Note], clock: Clock) -> None:
    text = sealer.seal(Note(text="hello"), "mine")
    clock.at = NOW + LIFE
    with pytest.raises(OtherBrowserError):
        sealer.open(text, "other")


def test_the_caller_cannot_choose_another_end_or_browser(sealer: Sealer[Note], clock: Clock) -> None:
    far = int((NOW + timedelta(days=365)).timestamp())
    text = sealer.seal(Note(text="hello", ends=far, browser="other"), "mine")
    clock.at = NOW + LIFE
    with pytest.raises(ExpiredError):
        sealer.open(text, "mine")


def test_what_was_sealed_for_another_purpose_does_not_open(
    keys: SecretKeys, sealer: Sealer[Note], clock: Clock
) -> None:
    other = Sealer(keys, Note, purpose="other", life=LIFE, now=clock)
    with pytest.raises(SealedError):
        sealer.open(other.seal(Note(text="hello"), "mine"), "mine")


def test_content_of_another_shape_does_not_open(keys: SecretKeys, sealer: Sealer[Note], clock: Clock) -> None:
    class Other(Sealed):
        """Something else."""

        number: int

    other = Sealer(keys, Other, purpose="note", life=LIFE, now=clock)
    with pytest.raises(SealedError):
        sealer.open(other.seal(Other(number=1), "mine"), "mine")


def test_the_same_content_is_never_the_same_text(sealer: Sealer[Note]) -> None:
    assert sealer.seal(Note(text="hello"), "mine") != sealer.seal(Note(text="hello"), "mine")


def test_neither_the_text_nor_the_repr_shows_the_content(sealer: Sealer[Note]) -> None:
    note = Note(text="hello")
    assert "hello" not in repr(note)
    assert "hello" not in sealer.seal(note, "mine")


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_one_changed_character_is_enough(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("keys")
    new_secret_key(folder, NOW - timedelta(days=1))
    sealer = Sealer(SecretKeys(folder, lambda: NOW), Note, purpose="note", life=LIFE, now=lambda: NOW)
    text = sealer.seal(Note(text="hello"), "mine")
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from("ABCxyz019-_=.%é"))
    changed = text[:place] + character + text[place + 1 :]
    if changed != text:
        with pytest.raises(SealedError):
            sealer.open(changed, "mine")
