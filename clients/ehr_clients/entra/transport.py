"""The HTTP client that msal is given: ours, with our limits."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import JsonValue, TypeAdapter, ValidationError

from ehr_clients import limits
from ehr_clients.errors import RefusedError, TemporaryError
from ehr_clients.http import retry_after_s

SYSTEM = "Entra ID"
_NUMBER = re.compile(r"AADSTS(\d{1,9})")
_object = TypeAdapter(dict[str, JsonValue])
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass
class _Reply:
    """An answer as msal reads it."""

    status_code: int
    headers: Mapping[str, str]
    text: str = field(repr=False)

    def raise_for_status(self) -> None:
        """Raise for a status that msal does not read."""
        if self.status_code >= 400:  # noqa: PLR2004 (RFC 9110: client and server errors)
            raise _temporary(self)


class Transport:
    """Sends what msal wants sent, never following a redirect."""

    def __init__(self, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._client = httpx.Client(
            verify=tls if tls is not None else True,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, limits.CONNECT_TIMEOUT_S)),
            headers={"Accept-Encoding": "identity"},
        )

    def get(self, url: str, params: Any = None, headers: Any = None, **_others: Any) -> _Reply:
        """Send a GET."""
        return self._send("GET", url, params, None, headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_others: Any) -> _Reply:
        """Send a POST."""
        return self._send("POST", url, params, data, headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, method: str, url: str, params: Any, data: Any, headers: Any) -> _Reply:
        ends_s = time.monotonic() + self._timeout_s
        body = bytearray()
        with self._client.stream(method, url, params=params or None, data=data, headers=headers) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > limits.MAX_ANSWER_BYTES or time.monotonic() > ends_s:
                    raise httpx.ReadTimeout("too long")
        reply = _Reply(response.status_code, dict(response.headers), body.decode(errors="replace"))
        if reply.status_code in _TEMPORARY:
            raise _temporary(reply)
        # msal makes a ValueError with the whole body out of a refusal of its discovery; its code is taken here.
        if method == "GET" and reply.status_code >= 400:  # noqa: PLR2004 (RFC 9110: client error)
            code = code_of(_json(reply.text))
            raise RefusedError(SYSTEM, "", f"status {reply.status_code} ({code})", status=reply.status_code, code=code)
        return reply


def code_of(answer: Mapping[str, Any]) -> str:
    """Return Entra's own number of an error where there is one, or the OAuth error."""
    found = _NUMBER.match(str(answer.get("error_description", "")))
    if found:
        return f"AADSTS{found[1]}"
    error = str(answer.get("error", ""))
    return error if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", error) else "unknown"


def _temporary(reply: _Reply) -> TemporaryError:
    return TemporaryError(
        SYSTEM,
        "",
        f"status {reply.status_code}",
        status=reply.status_code,
        retry_after_s=retry_after_s(reply.headers.get("retry-after"), now=datetime.now(UTC)),
        ambiguous=reply.status_code >= 500,  # noqa: PLR2004 (RFC 9110: server error)
    )


def _json(text: str) -> Mapping[str, Any]:
    try:
        return _object.validate_json(text)
    except ValidationError:
        return {}
