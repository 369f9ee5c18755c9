"""The connector's signing keys: private JWKs, the public halves of which EHRs read at the JWKS address.

A new key is published before it signs, so that every EHR that caches the JWKS has seen it; an old key stays published
until its file is removed. Source: SMART App Launch 2.2, "Client Authentication: Asymmetric" (ES384 and RS384).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from ehr_clients.smart import SigningKey
from ehr_connector.keys.files import KeyFiles, KeysError, made_at, new_key_id, write_key

PUBLISHED_BEFORE_USE = timedelta(minutes=15)
"""A registration at Oracle Health takes about a quarter of an hour to spread; our JWKS may be cached for five minutes."""
_SUFFIX = ".jwk.json"
_ALGORITHMS = {("EC", "P-384"): "ES384", ("RSA", None): "RS384"}


class SigningKeys:
    """The signing keys, read from the folder whenever it has changed."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._files = KeyFiles(folder, _SUFFIX, _load, now, PUBLISHED_BEFORE_USE)

    @property
    def problem(self) -> str | None:
        """What is wrong with a file, although there may be keys to go on with."""
        return self._files.problem

    def signing_key(self) -> SigningKey:
        """Return the newest key that has been published for long enough; of keys that are all too new, the oldest.

        Raises:
            KeysError: There is no usable key.
        """
        return self._files.current()

    def jwks(self) -> dict[str, Any]:
        """Return the JWK Set (RFC 7517) of all public keys.

        Raises:
            KeysError: A file holds no usable key.
        """
        return {"keys": [_public(key) for key in self._files.all()]}


def new_signing_key(folder: Path, now: datetime) -> Path:
    """Make a key (ES384) and return its file, which only this user may read."""
    key_id = new_key_id(now)
    jwk: dict[str, Any] = {
        **ECKey.generate_key("P-384").as_dict(private=True),
        "kid": key_id,
        "alg": "ES384",
        "use": "sig",
    }
    return write_key(folder, f"{key_id}{_SUFFIX}", json.dumps(jwk, indent=2).encode())


def _load(path: Path) -> tuple[datetime, SigningKey]:
    try:
        jwk: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        key = JWKRegistry.import_key(jwk)
        key_id = str(jwk["kid"])
        made = made_at(key_id)
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
