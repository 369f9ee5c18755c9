"""The probes that need no key: they ask the EHR over HTTPS and return evidence, never a verdict.

All probes of one validation share one guarded transport: the name is resolved once, and every connection goes to the
address that was checked.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ehr_clients.errors import ContractError, RemoteError, TemporaryError
from ehr_clients.guard import (
    AddressRefusedError,
    GuardedTransport,
    Network,
    ResolutionError,
    Resolve,
    system_resolve,
)
from ehr_clients.http import Http, InvalidUrlError, ask, client, tls_failure

_ACCEPT = "application/fhir+json, application/json;q=0.9"
_object = TypeAdapter(dict[str, Any])


class Fetch(StrEnum):
    """How one request ended."""

    ANSWERED = "Answered"
    NO_ADDRESS = "NoAddress"
    ADDRESS_REFUSED = "AddressRefused"
    TLS_FAILED = "TlsFailed"
    UNREACHABLE = "Unreachable"
    TOO_LARGE = "TooLarge"


@dataclass(frozen=True, slots=True)
class Fetched:
    """Evidence of one request."""

    fetch: Fetch
    detail: str = ""
    """What went wrong, in words that hold no body."""
    tls_code: int | None = None
    """OpenSSL's verification result, where the certificate was not accepted."""
    status: int | None = None
    media_type: str = ""
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
            if metadata.fetch is not Fetch.ANSWERED:
                return Observation(metadata, metadata)
            address = f"{base_url.rstrip('/')}/.well-known/smart-configuration"
            return Observation(metadata, await _fetch(http, address, "read SMART configuration", timeout_s))


async def _fetch(http: Http, url: str, operation: str, timeout_s: float) -> Fetched:
    try:
        answer = await ask(
            http, "GET", url, system="EHR", operation=operation, headers={"Accept": _ACCEPT}, timeout_s=timeout_s
        )
    except (ResolutionError, InvalidUrlError) as exc:
        return Fetched(Fetch.NO_ADDRESS, exc.detail)
    except AddressRefusedError as exc:
        return Fetched(Fetch.ADDRESS_REFUSED, exc.detail)
    except ContractError as exc:
        return Fetched(Fetch.TOO_LARGE, exc.detail)
    except TemporaryError as exc:
        return _unanswered(exc)
    return Fetched(
        Fetch.ANSWERED,
        status=answer.status,
        media_type=answer.media_type,
        document=_json_object(answer.body),
        elapsed_s=answer.elapsed_s,
        certificate_expiry=answer.certificate_expiry,
    )


def _unanswered(error: RemoteError) -> Fetched:
    failure = tls_failure(error)
    if failure is None:
        return Fetched(Fetch.UNREACHABLE, error.detail)
    code = failure.verify_code if isinstance(failure, ssl.SSLCertVerificationError) else None
    return Fetched(Fetch.TLS_FAILED, error.detail, tls_code=code)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        return _object.validate_python(json.loads(body))
    except (ValueError, ValidationError, RecursionError):
        return None
