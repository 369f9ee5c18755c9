"""The probes that need no key: they ask the EHR over HTTPS and return evidence, never a verdict.

All probes of one validation share one guarded transport: the name is resolved once, and every connection goes to the
address that was checked.
"""

from __future__ import annotations

import codecs
import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from ehr_clients.errors import RemoteError, TemporaryError
from ehr_clients.guard import (
    AddressRefusedError,
    Certificate,
    GuardedTransport,
    Network,
    ResolutionError,
    Resolve,
    system_resolve,
)
from ehr_clients.http import (
    Answer,
    CompressedError,
    Http,
    InvalidUrlError,
    TooLargeError,
    ask,
    client,
    retry_after_s,
    tls_failure,
)

_ACCEPT = "application/fhir+json, application/json;q=0.9"
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_.:-]{1,32})", re.IGNORECASE)
_object = TypeAdapter(dict[str, Any])


class Fetch(StrEnum):
    """How one request ended."""

    ANSWERED = "Answered"
    NO_ADDRESS = "NoAddress"
    ADDRESS_REFUSED = "AddressRefused"
    TLS_FAILED = "TlsFailed"
    UNREACHABLE = "Unreachable"
    TOO_LARGE = "TooLarge"
    COMPRESSED = "Compressed"


class Content(StrEnum):
    """What the body of an answer is."""

    EMPTY = "Empty"
    JSON_OBJECT = "JsonObject"
    OTHER_JSON = "OtherJson"
    BROKEN_JSON = "BrokenJson"
    """It begins as JSON does, and is none: cut off, or badly made."""
    NOT_UTF8 = "NotUtf8"
    """Text in another charset, or no text at all."""
    HTML = "Html"
    OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Fetched:
    """Evidence of one request."""

    fetch: Fetch
    detail: str = ""
    """What went wrong, in words that hold no body."""
    tls_code: int | None = None
    """OpenSSL's verification result, where the certificate was not accepted."""
    tls_reason: str = ""
    """OpenSSL's name of what failed, where it was not the certificate."""
    presented: Certificate | None = None
    """The certificate that was not accepted."""
    tls_version: str = ""
    status: int | None = None
    media_type: str = ""
    charset: str = ""
    """As the answer states it."""
    content: Content = Content.EMPTY
    redirect_host: str = ""
    """Where a redirect leads: the host alone, since the rest may hold what is nobody's business."""
    retry_after_s: float | None = None
    """The server's own word on when to come again."""
    document: dict[str, Any] | None = field(default=None, repr=False)
    """The body, where it is a JSON object."""
    elapsed_s: float = 0.0
    certificate_expiry: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What the probes without a key saw."""

    metadata: Fetched
    smart: Fetched


class EhrProbes:
    """Probes FHIR base URLs."""

    def __init__(self, tls: ssl.SSLContext, allowed: Sequence[Network], resolve: Resolve = system_resolve) -> None:
        self._tls = tls
        self._allowed = allowed
        self._resolve = resolve

    async def observe(self, base_url: str, timeout_s: float) -> Observation:
        """Ask for the CapabilityStatement and the SMART configuration; never raises for what the server does."""
        transport = GuardedTransport(tls=self._tls, allowed=self._allowed, resolve=self._resolve)
        async with client(transport=transport) as http:
            metadata = await _fetch(http, f"{base_url.rstrip('/')}/metadata", "read CapabilityStatement", timeout_s)
            if metadata.fetch is Fetch.TLS_FAILED and metadata.tls_code is not None:
                metadata = replace(metadata, presented=await _presented(transport, base_url))
            if metadata.fetch is not Fetch.ANSWERED:
                return Observation(metadata, metadata)
            address = f"{base_url.rstrip('/')}/.well-known/smart-configuration"
            return Observation(metadata, await _fetch(http, address, "read SMART configuration", timeout_s))


async def _presented(transport: GuardedTransport, base_url: str) -> Certificate | None:
    url = urlsplit(base_url)
    try:
        return await transport.presented_certificate(url.hostname or "", url.port or 443)
    except (RemoteError, ValueError):
        return None


async def _fetch(http: Http, url: str, operation: str, timeout_s: float) -> Fetched:
    try:
        answer = await ask(
            http, "GET", url, system="EHR", operation=operation, headers={"Accept": _ACCEPT}, timeout_s=timeout_s
        )
    except (ResolutionError, InvalidUrlError) as exc:
        return Fetched(Fetch.NO_ADDRESS, exc.detail)
    except AddressRefusedError as exc:
        return Fetched(Fetch.ADDRESS_REFUSED, exc.detail)
    except TooLargeError as exc:
        return Fetched(Fetch.TOO_LARGE, exc.detail)
    except CompressedError as exc:
        return Fetched(Fetch.COMPRESSED, exc.detail)
    except TemporaryError as exc:
        return _unanswered(exc)
    return _answered(answer)


def _answered(answer: Answer) -> Fetched:
    content, document = _content(answer.body)
    return Fetched(
        Fetch.ANSWERED,
        tls_version=answer.tls_version or "",
        status=answer.status,
        media_type=answer.media_type,
        charset=_charset(answer.headers.get("content-type", "")),
        content=content,
        redirect_host=_redirect_host(answer),
        retry_after_s=retry_after_s(answer.headers.get("retry-after"), now=datetime.now(UTC)),
        document=document,
        elapsed_s=answer.elapsed_s,
        certificate_expiry=answer.certificate_expiry,
    )


def _unanswered(error: RemoteError) -> Fetched:
    failure = tls_failure(error)
    if failure is None:
        return Fetched(Fetch.UNREACHABLE, error.detail)
    if isinstance(failure, ssl.SSLCertVerificationError):
        return Fetched(Fetch.TLS_FAILED, error.detail, tls_code=failure.verify_code)
    return Fetched(Fetch.TLS_FAILED, error.detail, tls_reason=failure.reason or "")


def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else ""


def _redirect_host(answer: Answer) -> str:
    try:
        return urlsplit(str(answer.headers.get("location", ""))).hostname or ""
    except ValueError:
        return ""


def _content(body: bytes) -> tuple[Content, dict[str, Any] | None]:
    """Return what a body is, whatever its media type says, and the JSON object that it is, if it is one."""
    start = body[:1024].removeprefix(codecs.BOM_UTF8).lstrip()
    if not body.strip():
        return Content.EMPTY, None
    if start.startswith(b"<"):
        return (Content.HTML if b"<html" in start.lower() else Content.OTHER), None
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Content.NOT_UTF8, None
    if "\0" in text[:8]:  # UTF-16 and UTF-32 of JSON are UTF-8 too, with zeros between the letters
        return Content.NOT_UTF8, None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return (Content.BROKEN_JSON if start.startswith((b"{", b"[")) else Content.OTHER), None
    try:
        return Content.JSON_OBJECT, _object.validate_python(found)
    except (ValidationError, RecursionError):
        return Content.OTHER_JSON, None
