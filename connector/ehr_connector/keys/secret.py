"""The connector's secret keys: with some links and cookies are sealed, with one visits get names that tell nothing.

Sealing keys are rotated; names must stay, so the key of names is a file of its own. Where there is none, because the keys were
made before there were such files, the oldest sealing key names.

Each purpose has a key of its own, derived from the file's (HKDF, RFC 5869), so that what is sealed for one purpose opens
for no other. Sealing is AES-SIV (RFC 5297): authenticated, and safe where the same content must give the same link.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ehr_connector.keys.files import KeyFiles, KeysError, made_at, new_key_id, write_key

SPREAD_BEFORE_USE = timedelta(minutes=15)
"""Until every replica has the new file (a projected Secret takes a minute or two), the older key seals."""
_SUFFIX = ".secret.json"
_NAMES_SUFFIX = ".names.json"
_KEY_BYTES = 32
_NONCE_BYTES = 16
_SHORTEST = 1 + 16
"""Key's mark and AES-SIV's tag."""


class SealError(Exception):
    """The text was not sealed by us for this purpose, or under a key that is gone."""


@dataclass(frozen=True, slots=True)
class _Secret:
    mark: int
    """First byte of everything sealed with it: says which key to try."""
    root: bytes = field(repr=False)


class SecretKeys:
    """Seals with the newest key that has spread, opens with any, and names with the one that never changes."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._sealing = KeyFiles(folder, _SUFFIX, _load, now, SPREAD_BEFORE_USE)
        self._naming = KeyFiles(folder, _NAMES_SUFFIX, _load, now)

    @property
    def problem(self) -> str | None:
        """What is wrong with a file, although there may be keys to go on with."""
        try:
            self._name_key()
        except KeysError as exc:
            return str(exc)
        return self._sealing.problem or (self._naming.problem if self._naming.all() else None)

    def check(self) -> None:
        """Make sure that there are keys.

        Raises:
            KeysError: There is no usable key.
        """
        self._sealing.current()
        self._name_key()

    def name(self, purpose: str, *parts: str) -> str:
        """Return a keyed digest of `parts`, 43 characters: the same for ever, and without the key it tells nothing.

        It is made with the key of names, so that rotation changes none.
        """
        content = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
        return _text(hmac.digest(_derived(self._name_key().root, f"name {purpose}"), content, "sha256"))

    def seal(self, purpose: str, content: bytes, *, same: bool = False) -> str:
        """Return `content` encrypted and authenticated, as base64url; with `same`, equal content gives equal text."""
        key = self._sealing.current()
        nonce = b"" if same else secrets.token_bytes(_NONCE_BYTES)
        sealed = AESSIV(_derived(key.root, f"seal {purpose}")).encrypt(content, [nonce] if nonce else None)
        return _text(bytes([key.mark]) + nonce + sealed)

    def open(self, purpose: str, text: str, *, same: bool = False) -> bytes:
        """Return what was sealed for the same purpose.

        Raises:
            SealError: It was not sealed so.
        """
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError as exc:
            raise SealError from exc
        # A text has one form: bits that base64 leaves over, or padding, would make a second link of the same visit.
        if len(raw) < _SHORTEST or _text(raw) != text:
            raise SealError
        skip = 1 if same else 1 + _NONCE_BYTES
        for key in self._sealing.all():
            if key.mark == raw[0] and len(raw) >= skip + 16:
                try:
                    cipher = AESSIV(_derived(key.root, f"seal {purpose}"))
                    return cipher.decrypt(raw[skip:], None if same else [raw[1:skip]])
                except InvalidTag:
                    continue
        raise SealError

    def _name_key(self) -> _Secret:
        keys = self._naming.all()
        return keys[0] if keys else self._sealing.oldest()


def new_secret_key(folder: Path, now: datetime) -> Path:
    """Make a sealing key (256 bits, a JWK of type oct) and return its file, which only this user may read."""
    return _write(folder, _SUFFIX, now, secrets.token_bytes(_KEY_BYTES))


def new_names_key(folder: Path, now: datetime) -> Path | None:
    """Make the key of names and return its file, which only this user may read; None when there is one.

    Where the oldest sealing key names already, its secret is taken over, so that nothing gets another name.

    Raises:
        KeysError: A key that is there cannot be read.
    """
    if KeyFiles(folder, _NAMES_SUFFIX, _load, lambda: now).all():
        return None
    naming = KeyFiles(folder, _SUFFIX, _load, lambda: now).all()
    return _write(folder, _NAMES_SUFFIX, now, naming[0].root if naming else secrets.token_bytes(_KEY_BYTES))


def _write(folder: Path, suffix: str, now: datetime, root: bytes) -> Path:
    key_id = new_key_id(now)
    jwk = {"kty": "oct", "k": _text(root), "kid": key_id}
    return write_key(folder, f"{key_id}{suffix}", json.dumps(jwk, indent=2).encode())


def _load(path: Path) -> tuple[datetime, _Secret]:
    try:
        jwk = json.loads(path.read_text(encoding="utf-8"))
        root = urlsafe_b64decode(str(jwk["k"]) + "==")
        key_id = str(jwk["kid"])
        made = made_at(key_id)
        if jwk["kty"] != "oct" or len(root) < _KEY_BYTES:
            raise ValueError("too short")  # noqa: TRY301 (one remedy for all that is wrong)
        return made, _Secret(sha256(key_id.encode()).digest()[0], root)
    except (ValueError, KeyError, TypeError) as exc:
        raise KeysError(
            f"{path.name} is no JWK of type oct with at least 256 bits and a kid such as 20260131T120000Z-1a2b3c4d:"
            " make keys with `python -m ehr_connector new-key DIR`"
        ) from exc


@lru_cache(maxsize=256)
def _derived(root: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), length=64, salt=None, info=f"teams-ehr-connector {purpose}".encode()).derive(root)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
