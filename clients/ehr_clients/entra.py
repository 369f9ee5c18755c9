"""Microsoft Entra ID by msal: tokens of the application itself, and the sign-in of a person.

Source: Microsoft identity platform, "OAuth 2.0 client credentials flow" and "authorization code flow".

msal is synchronous, so each call of it runs in a thread, over our own HTTP client with our limits. What it says about an
error may name a person; of that only the error's code is taken.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
import msal  # pyright: ignore[reportMissingTypeStubs]  (it has none)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import JsonValue, TypeAdapter, ValidationError

from ehr_clients import limits
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.http import retry_after_s, tls_failure

SYSTEM = "Entra ID"
_Done = TypeVar("_Done")
_GET_TOKEN = "get application token"  # noqa: S105 (an operation's name, no secret)
_SIGN_IN = "sign in"
_EARLY_S = 300.0
"""A token is not used in its last minutes: a request that begins with it must also end with it."""
_NUMBER = re.compile(r"AADSTS(\d{1,9})")
_object = TypeAdapter(dict[str, JsonValue])
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class CredentialError(Exception):
    """The application's credential cannot be read; the message says why and holds nothing of it."""


class Credential(Protocol):
    """What the application proves itself with."""

    def read(self) -> tuple[str, Any]:
        """Return what tells this content from another, and the credential as msal takes it.

        Raises:
            CredentialError: It cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class FederatedToken:
    """A token of another issuer that Entra trusts, in a file that is renewed: a Kubernetes service account's."""

    path: Path

    def read(self) -> tuple[str, Any]:
        """Check that there is one now; msal reads it anew whenever it needs it."""
        _text_of(self.path)
        return "federated", {"client_assertion": lambda: _text_of(self.path)}


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret in a file."""

    path: Path

    def read(self) -> tuple[str, Any]:
        """Return the secret."""
        secret = _text_of(self.path)
        return secret, secret


@dataclass(frozen=True, slots=True)
class Certificate:
    """A private key with its certificate, both in one PEM file."""

    path: Path

    def read(self) -> tuple[str, Any]:
        """Return the key and its certificate."""
        pem = _text_of(self.path)
        try:
            load_pem_private_key(pem.encode(), password=None)
            x509.load_pem_x509_certificate(pem.encode())
        except (ValueError, TypeError):
            raise CredentialError(f"{self.path} must hold a private key and its certificate, as PEM") from None
        return pem, {"private_key": pem, "public_certificate": pem}


_CREDENTIALS: Mapping[str, Callable[[Path], Credential]] = {
    "federated-token": FederatedToken,
    "client-secret": ClientSecret,
    "certificate": Certificate,
}


def credential(setting: str) -> Credential:
    """Return the credential of a setting: `federated-token:PATH`, `client-secret:PATH` or `certificate:PATH`.

    Raises:
        ValueError: It is none of them.
    """
    kind, _, path = setting.partition(":")
    if kind not in _CREDENTIALS or not path:
        raise ValueError("must be federated-token:PATH, client-secret:PATH or certificate:PATH")
    return _CREDENTIALS[kind](Path(path))


@dataclass(frozen=True, slots=True)
class AppToken:
    """An access token of the application."""

    value: str = field(repr=False)
    roles: frozenset[str] | None
    """The application permissions in it; None when the token cannot be read."""
    good_until_s: float
    """On the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who has signed in. The names are for this person's eyes only, and are not kept."""

    object_id: str
    tenant_id: str
    display_name: str = field(repr=False)
    username: str = field(repr=False)


class Entra:
    """The applications of all organisations, each in its own tenant."""

    def __init__(
        self,
        authority: str,
        *,
        credential: Credential,
        scope: str,
        instance_discovery: bool = True,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = limits.ANSWER_TIMEOUT_S,
    ) -> None:
        self._authority = authority.rstrip("/")
        self._credential = credential
        self._scope = scope
        self._instance_discovery = instance_discovery
        self._timeout_s = timeout_s
        self._http = _Transport(tls, timeout_s)
        self._applications: dict[tuple[str, str, str], Any] = {}
        self._tokens: dict[tuple[str, str], AppToken] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def token(self, tenant: str, client: str, *, fresh: bool = False) -> AppToken:
        """Return a token for the application; with `fresh`, one that knows of the newest consents.

        Raises:
            CredentialError: The credential cannot be read.
            RefusedError: Entra refused; `code` is its own, for example AADSTS7000215.
            RemoteError: Entra gave no usable answer.
        """
        key = (tenant, client)
        known = self._tokens.get(key)
        if known is not None and not fresh and time.monotonic() < known.good_until_s:
            return known
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._tokens.get(key)
            if known is not None and not fresh and time.monotonic() < known.good_until_s:
                return known
            found = await self._in_thread(_GET_TOKEN, lambda: self._ask(tenant, client, fresh=fresh))
            self._tokens[key] = found
            return found

    async def sign_in_address(
        self, tenant: str, client: str, redirect_uri: str, login_hint: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Return the address to which a person is sent, and the flow: kept sealed by the caller until they are back.

        Raises:
            CredentialError: The credential cannot be read.
            RemoteError: Entra gave no usable answer.
        """

        def begin() -> dict[str, Any]:
            application = self._signing_in(tenant, client)
            # msal warns of every other response mode than form_post.
            return application.initiate_auth_code_flow(
                scopes=[],
                redirect_uri=redirect_uri,
                login_hint=login_hint,
                response_mode="form_post",
                # On a shared workstation somebody else may be signed in still.
                prompt="select_account",
            )

        flow = await self._in_thread(_SIGN_IN, begin)
        # A form is posted across sites, without the cookie that holds the flow; PKCE makes a code in the query worthless.
        return str(flow.pop("auth_uri")).replace("response_mode=form_post", "response_mode=query"), flow

    async def signed_in(self, tenant: str, client: str, flow: Mapping[str, Any], query: Mapping[str, str]) -> Account:
        """Return who signed in, from the query with which they came back.

        Raises:
            CredentialError: The credential cannot be read.
            RefusedError: `code` says why: access_denied or AADSTS65004 when the person gave up, another AADSTS number, `state` or `nonce`
                when the answer does not belong to this flow, `tenant` when it is somebody of another tenant.
            RemoteError: Entra gave no usable answer.
        """

        def end() -> dict[str, Any]:
            try:
                return self._signing_in(tenant, client).acquire_token_by_auth_code_flow(dict(flow), dict(query))
            except RuntimeError as exc:  # msal's word for an id_token of another sign-in
                raise RefusedError(
                    SYSTEM, _SIGN_IN, "the id_token is not of this sign-in", status=400, code="nonce"
                ) from exc

        if not flow.get("state") or flow["state"] != query.get("state"):
            raise RefusedError(SYSTEM, _SIGN_IN, "the answer is not of this sign-in", status=400, code="state")
        answer = await self._in_thread(_SIGN_IN, end)
        _check(answer, _SIGN_IN)
        claims: Mapping[str, Any] = answer.get("id_token_claims") or {}
        object_id, tenant_id = str(claims.get("oid", "")), str(claims.get("tid", ""))
        if not object_id or not tenant_id:
            raise ContractError(SYSTEM, _SIGN_IN, "unexpected body at: id_token")
        if tenant_id.lower() != tenant.lower():
            raise RefusedError(SYSTEM, _SIGN_IN, "the account is of another tenant", status=403, code="tenant")
        return Account(
            object_id.lower(), tenant_id.lower(), str(claims.get("name", "")), str(claims.get("preferred_username", ""))
        )

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._http.close)

    async def _in_thread(self, operation: str, work: Callable[[], _Done]) -> _Done:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.to_thread(_translated, operation, work)
        except TimeoutError as exc:
            raise TemporaryError(
                SYSTEM, operation, f"no complete answer in {self._timeout_s:g} s", ambiguous=True
            ) from exc

    def _ask(self, tenant: str, client: str, *, fresh: bool) -> AppToken:
        content, value = self._credential.read()
        key = (tenant, client, content)
        application = None if fresh else self._applications.get(key)
        if application is None:
            # One application for each content: what msal holds for a secret that was replaced goes with it.
            for stale in [one for one in self._applications if one[:2] == key[:2]]:
                del self._applications[stale]
            application = self._application(tenant, client, value, msal.TokenCache())
            self._applications[key] = application
        asked_s = time.monotonic()
        answer: dict[str, Any] = application.acquire_token_for_client(scopes=[self._scope])
        _check(answer, _GET_TOKEN)
        token, expires_in_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(expires_in_s, int | float):
            raise ContractError(SYSTEM, _GET_TOKEN, "unexpected body at: access_token, expires_in")
        return AppToken(token, _roles(token), asked_s + expires_in_s - _EARLY_S)

    def _signing_in(self, tenant: str, client: str) -> Any:
        _, value = self._credential.read()
        return self._application(tenant, client, value, _Forgetful())

    def _application(self, tenant: str, client: str, value: Any, cache: msal.TokenCache) -> Any:
        return msal.ConfidentialClientApplication(
            client,
            client_credential=value,
            authority=f"{self._authority}/{tenant}",
            instance_discovery=None if self._instance_discovery else False,
            token_cache=cache,
            http_client=self._http,
            exclude_scopes=["offline_access"],
            enable_pii_log=False,
        )


class _Forgetful(msal.TokenCache):
    """Keeps nothing of a person who signs in: only who it was is wanted."""

    def add(self, event: Any, now: float | None = None) -> None:
        """Keep nothing."""


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


class _Transport:
    """The HTTP client that msal is given: ours, with our limits, never following a redirect."""

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
            code = _code(_json(reply.text))
            raise RefusedError(SYSTEM, "", f"status {reply.status_code} ({code})", status=reply.status_code, code=code)
        return reply


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


def _temporary(reply: _Reply) -> TemporaryError:
    return TemporaryError(
        SYSTEM,
        "",
        f"status {reply.status_code}",
        status=reply.status_code,
        retry_after_s=retry_after_s(reply.headers.get("retry-after"), now=datetime.now(UTC)),
        ambiguous=reply.status_code >= 500,  # noqa: PLR2004 (RFC 9110: server error)
    )


def _check(answer: Mapping[str, Any], operation: str) -> None:
    """Refuse an answer that is an OAuth error (RFC 6749 section 5.2); its description may hold names and is dropped."""
    if "error" not in answer:
        return
    code = _code(answer)
    raise RefusedError(SYSTEM, operation, f"refused ({code})", status=400, code=code)


def _code(answer: Mapping[str, Any]) -> str:
    """Return Entra's own number of an error where there is one, or the OAuth error."""
    found = _NUMBER.match(str(answer.get("error_description", "")))
    if found:
        return f"AADSTS{found[1]}"
    error = str(answer.get("error", ""))
    return error if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", error) else "unknown"


def _roles(token: str) -> frozenset[str] | None:
    """Read the application permissions in a token. It is for Graph to check it; we only look at what was granted."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        roles: Sequence[Any] = claims.get("roles", [])
        return frozenset(str(role) for role in roles)
    except (ValueError, IndexError, AttributeError, TypeError):
        return None


def _json(text: str) -> Mapping[str, Any]:
    try:
        return _object.validate_json(text)
    except ValidationError:
        return {}


def _text_of(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as exc:
        raise CredentialError(f"{path} cannot be read: {type(exc).__name__}") from exc
    if not text:
        raise CredentialError(f"{path} is empty")
    return text


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
