"""The connector's secret keys: with them links and cookies are sealed, and visits get names that tell nothing.

Each purpose has a key of its own, derived from the file's (HKDF, RFC 5869), so that what is sealed for one purpose opens
for no other. Sealing is AES-SIV (RFC 5297): authenticated, and safe where the same content must give the same link.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
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
    """Seals with the newest key that has spread, opens with any, and names with the oldest."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._files = KeyFiles(folder, _SUFFIX, _load)

    def check(self) -> None:
        """Make sure that there is a key.

        Raises:
            KeysError: There is no usable key.
        """
        self._read()

    def name(self, purpose: str, *parts: str) -> str:
        """Return a keyed digest of `parts`, 43 characters: the same for ever, and without the key it tells nothing.

        It is made with the oldest key, so that rotation changes no name as long as that key's file stays.
        """
        content = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
        return _text(hmac.digest(_derived(self._read()[0][1].root, f"name {purpose}"), content, "sha256"))

    def seal(self, purpose: str, content: bytes, *, same: bool = False) -> str:
        """Return `content` encrypted and authenticated, as base64url; with `same`, equal content gives equal text."""
        keys = self._read()
        spread = [key for made, key in keys if self._now() - made >= SPREAD_BEFORE_USE]
        key = spread[-1] if spread else keys[0][1]
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
        for _, key in self._read():
            if key.mark == raw[0] and len(raw) >= skip + 16:
                try:
                    cipher = AESSIV(_derived(key.root, f"seal {purpose}"))
                    return cipher.decrypt(raw[skip:], None if same else [raw[1:skip]])
                except InvalidTag:
                    continue
        raise SealError

    def _read(self) -> Sequence[tuple[datetime, _Secret]]:
        keys = self._files.read()
        if not keys:
            raise KeysError(
                f"no *{_SUFFIX} in {self._folder}: make one with `python -m ehr_connector new-key {self._folder}`"
            )
        return keys


def new_secret_key(folder: Path, now: datetime) -> Path:
    """Make a secret key (256 bits, a JWK of type oct) and return its file, which only this user may read."""
    key_id = new_key_id(now)
    jwk = {"kty": "oct", "k": _text(secrets.token_bytes(_KEY_BYTES)), "kid": key_id}
    return write_key(folder, f"{key_id}{_SUFFIX}", json.dumps(jwk, indent=2).encode())


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
