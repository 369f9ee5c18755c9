"""The public keys of registered clients, fetched from where each client publishes them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

_FRESH = timedelta(seconds=60)
_TIMEOUT_S = 5.0
_MAX_BYTES = 256 * 1024

PublicKey = RSAKey | ECKey


class KeysUnavailableError(Exception):
    """The client's keys cannot be had."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: dict[str, PublicKey]
    at: datetime


class ClientKeys:
    """Fetches keys when an assertion comes, keeps them shortly, and asks again for a key that it does not know."""

    def __init__(self, urls: Mapping[str, str], ca_file: Path | None, now: Callable[[], datetime]) -> None:
        """`urls` holds the address of each client's keys, and may change; `ca_file` the authorities that are trusted for it."""
        self._urls = urls
        self._now = now
        self._trust = ssl.create_default_context(cafile=ca_file)
        self._fetched: dict[str, _Fetched] = {}

    async def key(self, client_id: str, kid: str) -> PublicKey | None:
        """Return the client's key of that id.

        Raises:
            KeysUnavailableError: The address does not answer with a set of keys.
        """
        url = self._urls[client_id]
        fetched = self._fetched.get(url)
        if fetched is None or kid not in fetched.keys or fetched.at + _FRESH <= self._now():
            fetched = self._fetched[url] = _Fetched(await self._fetch(url), self._now())
        return fetched.keys.get(kid)

    async def _fetch(self, url: str) -> dict[str, PublicKey]:
        try:
            async with (
                httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=_TIMEOUT_S) as http,
                http.stream("GET", url, headers={"Accept": "application/json"}) as answer,
            ):
                if answer.status_code != httpx.codes.OK.value:
                    raise KeysUnavailableError(f"{url} answered with status {answer.status_code}")
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MAX_BYTES:
                        raise KeysUnavailableError(f"{url} answered with more than {_MAX_BYTES} bytes")
        except httpx.HTTPError as exc:
            raise KeysUnavailableError(f"{url} did not answer: {exc}") from exc
        try:
            found = KeySet.import_key_set(json.loads(body)).keys
        except (ValueError, KeyError, TypeError, AttributeError, JoseError) as exc:
            raise KeysUnavailableError(f"{url} is no set of keys") from exc
        return {key.kid: key for key in found if isinstance(key, RSAKey | ECKey) and key.kid}
