"""Who is let in: a caller with the access key (HMAC-SHA256 signature), or with a bearer token of Entra."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ehr_sandbox.acs.errors import AzureError
from ehr_sandbox.acs.settings import AcsSettings

MAX_SKEW = timedelta(minutes=15)
"""How far `x-ms-date` may be from the server's time. No page names it; other Azure services with this scheme take 15."""

_SIGNED = re.compile(r"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=(?P<signature>\S+)")


@dataclass(frozen=True, slots=True)
class Presented:
    """A request as far as its authentication goes."""

    method: str
    path_and_query: str
    """Exactly as it was sent, with its escapes."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


def authenticate(presented: Presented, settings: AcsSettings, now: datetime) -> None:
    """Return when the caller is let in.

    Raises:
        AzureError: 401, with a message that says which part is wrong, which the real service does not.
    """
    authorization = presented.headers.get("authorization", "")
    scheme = authorization.partition(" ")[0].lower()
    if scheme == "bearer":
        _check_bearer(authorization.partition(" ")[2].strip(), settings)
    elif scheme == "hmac-sha256":
        _check_signature(authorization, presented, settings, now)
    else:
        raise _denied("the Authorization header must hold an HMAC-SHA256 signature or a bearer token")


def signature_of(access_key: str, method: str, path_and_query: str, date: str, host: str, content_hash: str) -> str:
    """Return the signature in base64.

    Source: Communication Services, "Sign an HTTP request".
    """
    to_sign = f"{method}\n{path_and_query}\n{date};{host};{content_hash}"
    return base64.b64encode(hmac.digest(base64.b64decode(access_key), to_sign.encode(), "sha256")).decode()


def _check_bearer(token: str, settings: AcsSettings) -> None:
    if not token:
        raise _denied("the bearer token is empty")
    accepted = settings.accept_any_bearer or any(
        hmac.compare_digest(token.encode(), known.encode()) for known in settings.accepted_tokens
    )
    if not accepted:
        raise _denied("the bearer token is not one that this simulator was told to accept")


def _check_signature(authorization: str, presented: Presented, settings: AcsSettings, now: datetime) -> None:
    match = _SIGNED.fullmatch(authorization)
    if match is None:
        raise _denied("the signature must cover the headers x-ms-date;host;x-ms-content-sha256, in this order")
    date = presented.headers.get("x-ms-date", "")
    _check_date(date, now)
    content_hash = base64.b64encode(hashlib.sha256(presented.body).digest()).decode()
    if presented.headers.get("x-ms-content-sha256") != content_hash:
        raise _denied("x-ms-content-sha256 is not the hash of the body")
    host = presented.headers.get("host", "")
    expected = signature_of(settings.access_key, presented.method, presented.path_and_query, date, host, content_hash)
    if not hmac.compare_digest(expected.encode(), match["signature"].encode()):
        raise _denied("the signature does not match; check the access key and what was signed")


def _check_date(date: str, now: datetime) -> None:
    try:
        sent_at = email.utils.parsedate_to_datetime(date)
    except ValueError as exc:
        raise _denied("x-ms-date must be a date as in RFC 1123, in GMT") from exc
    if not date.endswith(" GMT"):
        raise _denied("x-ms-date must be in GMT")
    if abs(now - sent_at) > MAX_SKEW:
        raise _denied(f"x-ms-date is more than {MAX_SKEW.seconds // 60} minutes from the server's time")


def _denied(why: str) -> AzureError:
    return AzureError(401, "Denied", f"Denied by the resource provider: {why}.")
