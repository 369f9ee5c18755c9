"""Signing keys: made for this user alone, published before they sign, never published whole."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from ehr_connector.keys.files import KeysError
from ehr_connector.keys.signing import SigningKeys, new_signing_key

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    return folder


@pytest.fixture
def keys(folder: Path, clock: Clock) -> SigningKeys:
    return SigningKeys(folder, clock)


def key_id(path: Path) -> str:
    return path.name.removesuffix(".jwk.json")


def write(folder: Path, name: str, jwk: Any) -> None:
    content = jwk if isinstance(jwk, bytes) else json.dumps(jwk).encode()
    (folder / f"{name}.jwk.json").write_bytes(content)


def private_jwk(key: ECKey | RSAKey | OKPKey | OctKey, kid: str = "20260101T000000Z-aa") -> dict[str, Any]:
    return {**key.as_dict(private=True), "kid": kid}


def test_a_new_key_is_readable_by_this_user_alone(tmp_path: Path) -> None:
    path = new_signing_key(tmp_path / "made" / "keys", NOON)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_new_key_is_named_after_its_time_in_utc(folder: Path) -> None:
    moment = datetime(2026, 11, 18, 13, 5, 7, tzinfo=UTC).astimezone()
    assert new_signing_key(folder, moment).name.startswith("20261118T130507Z-")


def test_two_keys_of_one_second_are_two(folder: Path) -> None:
    assert len({new_signing_key(folder, NOON) for _ in range(5)}) == 5


def test_a_new_key_signs_with_es384(folder: Path, keys: SigningKeys) -> None:
    path = new_signing_key(folder, NOON)
    signing = keys.signing_key()
    assert (signing.algorithm, signing.key_id) == ("ES384", key_id(path))


def test_an_rsa_key_signs_with_rs384(folder: Path, keys: SigningKeys) -> None:
    write(folder, "rsa", private_jwk(RSAKey.generate_key(2048, private=True)))
    assert keys.signing_key().algorithm == "RS384"
    assert [entry["alg"] for entry in keys.jwks()["keys"]] == ["RS384"]


@pytest.mark.parametrize(
    ("minutes", "newest_signs"), [(0, False), (14, False), (14.99, False), (15, True), (60 * 24, True)]
)
def test_a_new_key_signs_only_after_a_quarter_of_an_hour(
    folder: Path, keys: SigningKeys, clock: Clock, minutes: float, newest_signs: bool
) -> None:
    old, new = new_signing_key(folder, NOON - timedelta(days=30)), new_signing_key(folder, NOON)
    clock.now = NOON + timedelta(minutes=minutes)
    assert keys.signing_key().key_id == key_id(new if newest_signs else old)


def test_a_first_key_signs_at_once_as_there_is_no_other(folder: Path, keys: SigningKeys) -> None:
    path = new_signing_key(folder, NOON)
    assert keys.signing_key().key_id == key_id(path)


def test_of_keys_that_are_all_too_new_the_oldest_signs(folder: Path, keys: SigningKeys) -> None:
    first = new_signing_key(folder, NOON - timedelta(minutes=5))
    new_signing_key(folder, NOON)
    assert keys.signing_key().key_id == key_id(first)


def test_a_new_key_is_published_at_once_and_an_old_one_until_its_file_is_gone(folder: Path, keys: SigningKeys) -> None:
    old = new_signing_key(folder, NOON - timedelta(days=30))
    assert [entry["kid"] for entry in keys.jwks()["keys"]] == [key_id(old)]
    new = new_signing_key(folder, NOON)
    assert [entry["kid"] for entry in keys.jwks()["keys"]] == [key_id(old), key_id(new)]
    old.unlink()
    assert [entry["kid"] for entry in keys.jwks()["keys"]] == [key_id(new)]


def test_what_is_published_holds_nothing_private_and_says_what_it_is_for(folder: Path, keys: SigningKeys) -> None:
    new_signing_key(folder, NOON)
    write(folder, "rsa", private_jwk(RSAKey.generate_key(2048, private=True)))
    published = keys.jwks()["keys"]
    assert len(published) == 2
    for entry in published:
        assert not PRIVATE & set(entry)
        assert (entry["use"], entry["alg"] in {"ES384", "RS384"}, bool(entry["kid"])) == ("sig", True, True)


def test_what_is_published_verifies_what_is_signed(folder: Path, keys: SigningKeys) -> None:
    new_signing_key(folder, NOON)
    signing = keys.signing_key()
    token = jwt.encode({"alg": "ES384", "kid": signing.key_id}, {"a": 1}, signing.key, algorithms=["ES384"])
    published = KeySet.import_key_set(json.loads(json.dumps(keys.jwks())))
    assert jwt.decode(token, published, algorithms=["ES384"]).claims == {"a": 1}


def test_the_private_part_shows_in_no_representation(folder: Path, keys: SigningKeys) -> None:
    path = new_signing_key(folder, NOON)
    secret = json.loads(path.read_text())["d"]
    assert secret not in f"{keys.signing_key()!r} {keys.jwks()} {keys!r}"


def test_an_empty_folder_is_named_with_the_remedy(folder: Path, keys: SigningKeys) -> None:
    with pytest.raises(KeysError, match=r"python -m ehr_connector new-key") as caught:
        keys.signing_key()
    assert str(folder) in str(caught.value)


def test_other_files_in_the_folder_are_left_alone(folder: Path, keys: SigningKeys) -> None:
    path = new_signing_key(folder, NOON)
    (folder / "README.txt").write_text("not a key")
    (folder / ".hidden.jwk.json").write_text("not a key")
    assert keys.signing_key().key_id == key_id(path)


BROKEN: dict[str, Any] = {
    "no kty": {"kid": "20260101T000000Z-aa"},
    "list": [],
    "empty": b"",
    "no JSON": b"-----BEGIN PRIVATE KEY-----",
    "no UTF-8": b"\xff\xfe",
    "no kid": ECKey.generate_key("P-384", private=True).as_dict(private=True),
    "another kid": private_jwk(ECKey.generate_key("P-384", private=True), "my-key"),
    "public": {**ECKey.generate_key("P-384", private=True).as_dict(private=False), "kid": "20260101T000000Z-aa"},
    "P-256": private_jwk(ECKey.generate_key("P-256", private=True)),
    "Ed25519": private_jwk(OKPKey.generate_key("Ed25519", private=True)),
    "shared secret": private_jwk(OctKey.generate_key(256, private=True)),
}


@pytest.mark.parametrize("jwk", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_the_remedy_and_without_its_content(
    folder: Path, keys: SigningKeys, jwk: Any
) -> None:
    new_signing_key(folder, NOON)
    write(folder, "broken", jwk)
    for read in (keys.signing_key, keys.jwks):
        with pytest.raises(KeysError, match=r"broken\.jwk\.json.*new-key") as caught:
            read()
        if isinstance(jwk, dict):
            private: list[Any] = [value for name, value in jwk.items() if name in PRIVATE]  # pyright: ignore[reportUnknownVariableType]
            assert not [value for value in private if value in str(caught.value)]


def test_a_mended_file_is_read_again(folder: Path, keys: SigningKeys) -> None:
    path = new_signing_key(folder, NOON)
    good = path.read_bytes()
    path.write_bytes(b"half")
    with pytest.raises(KeysError):
        keys.signing_key()
    path.write_bytes(good)
    assert keys.signing_key().key_id == key_id(path)


def test_a_file_that_vanishes_is_no_failure(folder: Path, keys: SigningKeys) -> None:
    gone, kept = new_signing_key(folder, NOON), new_signing_key(folder, NOON)
    keys.signing_key()
    gone.unlink()
    assert keys.signing_key().key_id == key_id(kept)


def test_a_file_that_goes_bad_takes_no_running_connector_down(
    folder: Path, keys: SigningKeys, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = (new_signing_key(folder, NOON - timedelta(days=days)) for days in (30, 1))
    keys.jwks()
    new.write_bytes(b"half")
    write(folder, "broken", b"never a key")

    assert [keys.signing_key().key_id for _ in range(3)] == [key_id(new)] * 3
    assert [entry["kid"] for entry in keys.jwks()["keys"]] == [key_id(old), key_id(new)]
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 2
    assert "half" not in caplog.text


def test_the_folder_is_listed_once_a_second_while_nothing_comes_or_goes(
    folder: Path, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_signing_key(folder, NOON)
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))
    seconds = iter([0.0, 0.3, 0.9, 1.0, 1.9])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    listed: list[Path] = []
    glob = Path.glob

    def listing(path: Path, pattern: str) -> Iterator[Path]:
        listed.append(path)
        return iter(glob(path, pattern))

    monkeypatch.setattr(Path, "glob", listing)
    for _ in range(5):
        keys.jwks()
    assert len(listed) == 2


def test_a_key_that_was_withdrawn_goes_although_another_file_is_bad(folder: Path, keys: SigningKeys) -> None:
    old, new = (new_signing_key(folder, NOON - timedelta(days=days)) for days in (30, 1))
    keys.jwks()
    write(folder, "broken", b"never a key")
    old.unlink()

    assert [entry["kid"] for entry in keys.jwks()["keys"]] == [key_id(new)]


def test_a_file_that_vanishes_while_the_folder_is_read_is_no_failure(
    folder: Path, keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = new_signing_key(folder, NOON), new_signing_key(folder, NOON)
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone, kept]))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    gone.unlink()

    assert keys.signing_key().key_id == key_id(kept)
