"""The connector's signing keys: a folder of private JWKs, the public halves of which EHRs read at the JWKS address.

A new key is published before it signs, so that every EHR that caches the JWKS has seen it; an old key stays published
until its file is removed. Source: SMART App Launch 2.2, "Client Authentication: Asymmetric" (ES384 and RS384).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from ehr_clients.smart import SigningKey

PUBLISHED_BEFORE_USE = timedelta(minutes=15)
"""A registration at Oracle Health takes about a quarter of an hour to spread; our JWKS may be cached for five minutes."""
_SUFFIX = ".jwk.json"
_STAMP = "%Y%m%dT%H%M%SZ"
_ALGORITHMS = {("EC", "P-384"): "ES384", ("RSA", None): "RS384"}


class KeysError(Exception):
    """The folder holds no usable key; the message names the file and the remedy."""


class Keys:
    """The signing keys, read from the folder whenever it has changed."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._seen: tuple[tuple[str, int], ...] | None = None
        self._keys: list[tuple[datetime, SigningKey]] = []

    def signing_key(self) -> SigningKey:
        """Return the newest key that has been published for long enough; of keys that are all too new, the oldest.

        Raises:
            KeysError: There is no usable key.
        """
        keys = self._read()
        if not keys:
            raise KeysError(
                f"no *{_SUFFIX} in {self._folder}: make one with `python -m ehr_connector new-key {self._folder}`"
            )
        ripe = [key for made, key in keys if self._now() - made >= PUBLISHED_BEFORE_USE]
        return ripe[-1] if ripe else keys[0][1]

    def jwks(self) -> dict[str, Any]:
        """Return the JWK Set (RFC 7517) of all public keys.

        Raises:
            KeysError: A file holds no usable key.
        """
        return {"keys": [_public(key) for _, key in self._read()]}

    def _read(self) -> list[tuple[datetime, SigningKey]]:
        files = sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if not path.name.startswith("."))
        seen = tuple((path.name, path.stat().st_mtime_ns) for path in files)
        if seen != self._seen:
            self._keys = sorted((_load(path) for path in files), key=lambda pair: (pair[0], pair[1].key_id))
            self._seen = seen
        return self._keys


def new_key(folder: Path, now: datetime) -> Path:
    """Make a key (ES384) and return its file, which only this user may read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_id = f"{now.astimezone(UTC).strftime(_STAMP)}-{secrets.token_hex(4)}"
    jwk: dict[str, Any] = {
        **ECKey.generate_key("P-384").as_dict(private=True),
        "kid": key_id,
        "alg": "ES384",
        "use": "sig",
    }
    path = folder / f"{key_id}{_SUFFIX}"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(jwk, file, indent=2)
    return path


def _load(path: Path) -> tuple[datetime, SigningKey]:
    try:
        jwk: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        key = JWKRegistry.import_key(jwk)
        key_id = str(jwk["kid"])
        made = datetime.strptime(key_id.partition("-")[0], _STAMP).replace(tzinfo=UTC)
        if not isinstance(key, ECKey | RSAKey) or not key.is_private:
            raise ValueError("not a private key for signatures")  # noqa: TRY301 (one remedy for all that is wrong)
        return made, SigningKey(key, _ALGORITHMS[str(jwk["kty"]), jwk.get("crv")], key_id)
    except (ValueError, KeyError, TypeError, AttributeError, JoseError) as exc:
        raise KeysError(
            f"{path.name} is no private JWK for ES384 or RS384 with a kid such as 20260131T120000Z-1a2b3c4d:"
            " make keys with `python -m ehr_connector new-key DIR`"
        ) from exc


def _public(signing: SigningKey) -> Mapping[str, Any]:
    public = signing.key.as_dict(private=False)
    return {**public, "kid": signing.key_id, "alg": signing.algorithm, "use": "sig"}
