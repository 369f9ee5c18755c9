"""Secret keys: what is sealed opens for its purpose alone, names stay, and rotation loses nothing."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_connector.keys.files import KeysError
from ehr_connector.keys.make import KeyKind, new_keys
from ehr_connector.keys.secret import SPREAD_BEFORE_USE, SealError, SecretKeys, new_names_key, new_secret_key

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


class Clock:
    """A time that a test sets."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secret(tmp_path: Path, clock: Clock) -> SecretKeys:
    new_secret_key(tmp_path, NOON - timedelta(days=1))
    return SecretKeys(tmp_path, clock)


def test_what_is_sealed_opens(secret: SecretKeys) -> None:
    assert secret.open("link", secret.seal("link", b"content")) == b"content"


def test_what_is_sealed_for_one_purpose_opens_for_no_other(secret: SecretKeys) -> None:
    sealed = secret.seal("link", b"content")
    with pytest.raises(SealError):
        secret.open("state", sealed)


def test_equal_content_gives_equal_text_only_where_it_is_asked_for(secret: SecretKeys) -> None:
    assert secret.seal("link", b"content", same=True) == secret.seal("link", b"content", same=True)
    assert secret.seal("state", b"content") != secret.seal("state", b"content")


@pytest.mark.parametrize("same", [True, False])
def test_every_changed_character_is_noticed(secret: SecretKeys, same: bool) -> None:
    sealed = secret.seal("link", b"content", same=same)
    for place in range(len(sealed)):
        other = "A" if sealed[place] != "A" else "B"
        with pytest.raises(SealError):
            secret.open("link", sealed[:place] + other + sealed[place + 1 :], same=same)


@pytest.mark.parametrize("same", [True, False])
def test_no_other_text_opens(secret: SecretKeys, same: bool) -> None:
    sealed = secret.seal("link", b"content", same=same)
    for text in ("", "A", sealed[:-1], sealed + "A", sealed + "=", f" {sealed}", "ü" * 40, "A" * 4000, sealed[::-1]):
        with pytest.raises(SealError):
            secret.open("link", text, same=same)


@given(text=st.text(max_size=80), same=st.booleans())
def test_hostile_text_is_refused_and_nothing_else_happens(
    text: str, same: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    new_secret_key(folder, NOON)
    with pytest.raises(SealError):
        SecretKeys(folder, Clock()).open("link", text, same=same)


def test_a_new_key_seals_only_after_every_replica_can_have_it(tmp_path: Path, clock: Clock, secret: SecretKeys) -> None:
    before = secret.seal("link", b"content", same=True)
    new_secret_key(tmp_path, NOON)
    assert secret.seal("link", b"content", same=True) == before
    clock.now = NOON + SPREAD_BEFORE_USE
    after = secret.seal("link", b"content", same=True)
    assert after != before
    assert secret.open("link", before, same=True) == secret.open("link", after, same=True) == b"content"


def test_a_name_stays_when_keys_are_added(tmp_path: Path, clock: Clock, secret: SecretKeys) -> None:
    before = secret.name("visit", "https://ehr.example/r4/1", "4711")
    new_secret_key(tmp_path, NOON)
    clock.now = NOON + timedelta(days=400)
    assert secret.name("visit", "https://ehr.example/r4/1", "4711") == before


@pytest.mark.parametrize("had_names", [True, False], ids=["new", "made before names had a key"])
def test_a_rotation_of_sealing_keys_renames_nothing(tmp_path: Path, clock: Clock, had_names: bool) -> None:
    made = NOON - timedelta(days=400)
    new_keys(tmp_path, made, [KeyKind.SECRET, *([KeyKind.NAMES] if had_names else [])])
    secret = SecretKeys(tmp_path, clock)
    before = secret.name("visit", "https://ehr.example/r4/1", "4711")
    (old,) = tmp_path.glob("*.secret.json")
    new_keys(tmp_path, NOON - timedelta(days=1))
    assert secret.name("visit", "https://ehr.example/r4/1", "4711") == before
    old.unlink()
    assert secret.name("visit", "https://ehr.example/r4/1", "4711") == before
    assert len([*tmp_path.glob("*.names.json")]) == 1


def test_the_key_of_names_seals_nothing(tmp_path: Path, clock: Clock) -> None:
    new_names_key(tmp_path, NOON)
    with pytest.raises(KeysError, match=r"secret\.json"):
        SecretKeys(tmp_path, clock).seal("link", b"content")


def test_a_key_of_names_that_is_broken_is_named_and_nothing_else_names(tmp_path: Path, secret: SecretKeys) -> None:
    (tmp_path / "broken.names.json").write_text("half a key")
    for act in (secret.check, lambda: secret.name("visit", "4711")):
        with pytest.raises(KeysError, match=r"broken\.names\.json"):
            act()
    assert "broken.names.json" in str(secret.problem)


def test_keys_made_before_names_had_a_key_are_no_problem(secret: SecretKeys) -> None:
    assert secret.problem is None


def test_names_differ_by_purpose_and_by_where_a_part_ends(secret: SecretKeys) -> None:
    names = {secret.name("visit", "a", "bc"), secret.name("visit", "ab", "c"), secret.name("rate", "a", "bc")}
    assert len(names) == 3
    assert {len(name) for name in names} == {43}


def test_without_its_key_a_link_opens_no_more(tmp_path: Path, secret: SecretKeys) -> None:
    sealed = secret.seal("link", b"content")
    next(tmp_path.glob("*.secret.json")).unlink()
    new_secret_key(tmp_path, NOON)
    with pytest.raises(SealError):
        secret.open("link", sealed)


def test_a_key_is_readable_by_this_user_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(new_secret_key(tmp_path, NOON).stat().st_mode) == 0o600


def test_an_empty_folder_says_how_to_make_a_key(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(KeysError, match="new-key"):
        SecretKeys(tmp_path, clock).check()


@pytest.mark.parametrize(
    "content", ["", "{}", '{"kty":"oct","k":"c2hvcnQ","kid":"20260101T000000Z-aa"}', '{"kty":"oct"']
)
def test_a_broken_file_is_named_and_nothing_of_it_is_told(tmp_path: Path, clock: Clock, content: str) -> None:
    (tmp_path / "broken.secret.json").write_text(content)
    with pytest.raises(KeysError, match=r"broken\.secret\.json.*new-key") as caught:
        SecretKeys(tmp_path, clock).check()
    assert "c2hvcnQ" not in str(caught.value)
