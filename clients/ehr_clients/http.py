"""One way out: a request is sent once, its answer is read within limits, and failures become `ehr_clients.errors`.

Nothing here retries: a caller knows its deadline and whether a repetition is safe. Redirects are never followed, so an
answer always comes from the host that was asked.
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from ehr_clients import limits
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.transport import HttpTransport

Body = TypeVar("Body", bound=BaseModel)

Http = httpx.AsyncClient
Auth = httpx.Auth
"""The library's types under our names: nothing outside this package imports it."""

_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read completely."""

    system: str
    operation: str
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    elapsed_s: float
    certificate_expiry: datetime | None
    """When the server's TLS certificate expires; None over plain HTTP."""
    tls_version: str | None = None
    """As OpenSSL writes it, for example TLSv1.3; None over plain HTTP."""

    @property
    def media_type(self) -> str:
        """Return the media type without parameters, lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that verifies names and chains with TLS 1.2 or later; `ca_file` adds authorities (PEM).

    Source: Cerner's TLS guidance (TLS 1.2 and 1.3 only, RFC 6125 name checks).
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def client(
    *,
    base_url: str = "",
    transport: httpx.AsyncBaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
    auth: httpx.Auth | None = None,
) -> httpx.AsyncClient:
    """Return an HTTP client with the time-outs and sizes of `limits`; the caller closes it."""
    if transport is None:
        pool = httpx.Limits(max_connections=limits.MAX_CONNECTIONS)
        transport = HttpTransport(verify=tls if tls is not None else True, limits=pool, trust_env=False)
    return httpx.AsyncClient(
        base_url=base_url,
        transport=transport,
        auth=auth,
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(limits.ANSWER_TIMEOUT_S, connect=limits.CONNECT_TIMEOUT_S),
        # Compressed answers are not asked for: a small one could unpack to any size.
        headers={"Accept-Encoding": "identity"},
    )


class InvalidUrlError(RemoteError):
    """The address is none, whatever server it means."""


class TooLargeError(ContractError):
    """The answer is longer than is read of any."""


class CompressedError(ContractError):
    """The answer is compressed, although that was not asked for: it may unpack to any size, and is not unpacked."""


async def ask(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    system: str,
    operation: str,
    headers: Mapping[str, str] | None = None,
    query: Sequence[tuple[str, str]] = (),
    form: Mapping[str, str] | None = None,
    timeout_s: float = limits.ANSWER_TIMEOUT_S,
) -> Answer:
    """Send a request once and return its answer, whatever its status; for addresses that we did not make ourselves.

    Raises:
        InvalidUrlError: `url` is none.
        RemoteError: As for `exchange`.
    """
    try:
        request = http.build_request(method, url, headers=headers, params=[*query] or None, data=form)
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise InvalidUrlError(system, operation, "the address is not a URL") from exc
    return await exchange(http, request, system=system, operation=operation, timeout_s=timeout_s)


async def exchange(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    system: str,
    operation: str,
    timeout_s: float = limits.ANSWER_TIMEOUT_S,
    max_bytes: int = limits.MAX_ANSWER_BYTES,
) -> Answer:
    """Send `request` once and return its answer, whatever its status.

    Raises:
        TemporaryError: No complete answer in `timeout_s`; `ambiguous` unless the connection was never made.
        TooLargeError: The answer is longer than `max_bytes`.
        CompressedError: The answer is compressed although that was not asked for.
    """
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            response = await http.send(request, stream=True)
            try:
                body = await _read(response, system, operation, max_bytes)
            finally:
                await response.aclose()
    except TimeoutError as exc:
        raise TemporaryError(system, operation, f"no complete answer in {timeout_s:g} s", ambiguous=True) from exc
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise TemporaryError(system, operation, _why(exc)) from exc
    except httpx.HTTPError as exc:
        raise TemporaryError(system, operation, _why(exc), ambiguous=True) from exc
    tls = _tls_of(response)
    return Answer(
        system=system,
        operation=operation,
        status=response.status_code,
        headers=response.headers,
        body=body,
        elapsed_s=time.perf_counter() - started,
        certificate_expiry=_certificate_expiry(tls) if tls is not None else None,
        tls_version=tls.version() if tls is not None else None,
    )


def check(answer: Answer, *, code: str = "") -> Answer:
    """Return `answer` when its status is 2xx.

    `code` is the machine-readable code that the caller found in an error body, if any.

    Raises:
        TemporaryError: The status asks to try again (408, 429, 5xx), after `Retry-After` where it is sent.
        RefusedError: Any other status, redirects among them.
    """
    if 200 <= answer.status < 300:  # noqa: PLR2004 (RFC 9110: successful)
        return answer
    detail = f"status {answer.status}" + (f" ({code})" if code else "")
    if answer.status in _TEMPORARY:
        raise TemporaryError(
            answer.system,
            answer.operation,
            detail,
            status=answer.status,
            retry_after_s=retry_after_s(answer.headers.get("Retry-After"), now=datetime.now(UTC)),
            ambiguous=answer.status >= 500,  # noqa: PLR2004 (RFC 9110: server error)
        )
    raise RefusedError(answer.system, answer.operation, detail, status=answer.status, code=code)


def parse(answer: Answer, body: type[Body]) -> Body:
    """Return the body of `answer` as the given model.

    Raises:
        ContractError: The body is not JSON of that shape; the message names the fields and holds no value.
    """
    try:
        return body.model_validate_json(answer.body)
    except ValidationError as exc:
        places = sorted({".".join(map(str, error["loc"])) or "the whole body" for error in exc.errors()})
        raise ContractError(answer.system, answer.operation, f"unexpected body at: {', '.join(places[:8])}") from None


def retry_after_s(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds of a `Retry-After` header, given as seconds or as a date, within sensible bounds.

    Source: RFC 9110 section 10.2.3.
    """
    if not value:
        return None
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - now).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), limits.RETRY_AFTER_MAX_S)


async def _read(response: httpx.Response, system: str, operation: str, max_bytes: int) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        raise CompressedError(system, operation, "the answer is compressed although that was not asked for")
    chunks = bytearray()
    async for chunk in response.aiter_raw():
        chunks += chunk
        if len(chunks) > max_bytes:
            raise TooLargeError(system, operation, f"the answer is longer than {max_bytes} bytes")
    return bytes(chunks)


def _tls_of(response: httpx.Response) -> ssl.SSLObject | ssl.SSLSocket | None:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    return tls if isinstance(tls, ssl.SSLObject | ssl.SSLSocket) else None


def _certificate_expiry(tls: ssl.SSLObject | ssl.SSLSocket) -> datetime | None:
    not_after = (tls.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC) if isinstance(not_after, str) else None


def tls_failure(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error behind an error of this package, if TLS was the cause."""
    seen: BaseException | None = error
    while seen is not None:
        # asyncio waits for data inside these two, so that a time-out has one of them behind it.
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _why(error: httpx.HTTPError) -> str:
    """Return what failed in words that hold no URL: httpx puts addresses with queries into some of its messages."""
    failure = tls_failure(error)
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"TLS certificate not trusted: {failure.verify_message}"
    if failure is not None:
        return f"TLS: {failure.reason}"
    match error:
        case httpx.ConnectTimeout():
            return f"no connection within {limits.CONNECT_TIMEOUT_S:g} s"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ConnectError():
            return "connection refused" if _has_cause(error, ConnectionRefusedError) else "no connection"
        case _:
            return "the connection broke off"


def _has_cause(error: BaseException, kind: type[BaseException]) -> bool:
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__ or seen.__context__
    return seen is not None
