"""The organisations' applications as msal knows them.

msal is synchronous, so each call of it runs in a thread, over our own HTTP client with our limits. What it says about an
error may name a person; of that only the error's code is taken.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

import httpx
import msal  # pyright: ignore[reportMissingTypeStubs]  (it has none)

from ehr_clients import limits
from ehr_clients.entra.credentials import Credential
from ehr_clients.entra.transport import SYSTEM, Transport, code_of
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.http import tls_failure

_Done = TypeVar("_Done")
_THREADS = 8
"""Of our own: those that all share look names up too, and must not wait for a slow Entra."""


class Applications:
    """The applications of all organisations, each in its own tenant, with one credential."""

    def __init__(
        self,
        authority: str,
        *,
        credential: Credential,
        instance_discovery: bool = True,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = limits.ANSWER_TIMEOUT_S,
    ) -> None:
        self.credential = credential
        self._authority = authority.rstrip("/")
        self._instance_discovery = instance_discovery
        self._timeout_s = timeout_s
        self._http = Transport(tls, timeout_s)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="entra")

    def of(self, tenant: str, client: str, proof: Any, cache: msal.TokenCache) -> Any:
        """Return msal's object of one application; `proof` is what the credential gave."""
        return msal.ConfidentialClientApplication(
            client,
            client_credential=proof,
            authority=f"{self._authority}/{tenant}",
            instance_discovery=None if self._instance_discovery else False,
            token_cache=cache,
            http_client=self._http,
            exclude_scopes=["offline_access"],
            enable_pii_log=False,
        )

    async def in_thread(self, operation: str, work: Callable[[], _Done]) -> _Done:
        """Run calls of msal's, and let their failures be ours.

        Raises:
            CredentialError: The credential cannot be read.
            RemoteError: Entra refused, or gave no usable answer.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                context = copy_context()
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, lambda: context.run(_translated, operation, work)
                )
        except TimeoutError as exc:
            raise TemporaryError(
                SYSTEM, operation, f"no complete answer in {self._timeout_s:g} s", ambiguous=True
            ) from exc

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._http.close)
        self._threads.shutdown(wait=False, cancel_futures=True)


def check(answer: Mapping[str, Any], operation: str) -> None:
    """Refuse an answer that is an OAuth error (RFC 6749 section 5.2); its description may hold names and is dropped."""
    if "error" not in answer:
        return
    code = code_of(answer)
    raise RefusedError(SYSTEM, operation, f"refused ({code})", status=400, code=code)


def _translated(operation: str, work: Callable[[], _Done]) -> _Done:
    """Run a call of msal's, and let its failures be ours."""
    try:
        return work()
    except RemoteError as exc:
        raise _of_operation(exc, operation) from None
    except httpx.HTTPError as exc:
        raise TemporaryError(SYSTEM, operation, _why(exc), ambiguous=not isinstance(exc, httpx.ConnectError)) from exc
    except (ValueError, KeyError, TypeError) as exc:  # an answer that is no JSON, or lacks what msal looks for
        raise ContractError(SYSTEM, operation, "the answer is not what the protocol asks for") from exc


def _of_operation(error: RemoteError, operation: str) -> RemoteError:
    if error.operation:
        return error
    match error:
        case TemporaryError():
            return TemporaryError(
                SYSTEM, operation, error.detail, status=error.status, retry_after_s=error.retry_after_s,
                ambiguous=error.ambiguous,
            )  # fmt: skip
        case RefusedError():
            return RefusedError(SYSTEM, operation, error.detail, status=error.status, code=error.code)
        case _:
            return error


def _why(error: httpx.HTTPError) -> str:
    failure = tls_failure(error)
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"TLS certificate not trusted: {failure.verify_message}"
    if failure is not None:
        return f"TLS: {failure.reason}"
    match error:
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ConnectError():
            return "no connection"
        case _:
            return "the connection broke off"
