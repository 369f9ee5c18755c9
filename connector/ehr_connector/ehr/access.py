"""Access to each FHIR base URL: guarded connections that are shared for a while, and tokens that are asked for once.

Nothing that was read is kept here but tokens and SMART configurations, in memory.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from ehr_clients.errors import RefusedError, RemoteError, TemporaryError
from ehr_clients.fhir import SYSTEM, Fhir
from ehr_clients.guard import GuardedTransport, Network, Resolve, system_resolve
from ehr_clients.http import Http, client
from ehr_clients.smart import SigningKey, SmartConfiguration, discover, system_token
from ehr_connector.directory import Site

_Found = TypeVar("_Found")

CheckTokenEndpoint = Callable[[str, str], Awaitable[None]]
"""Returns when tokens from an endpoint may be sent to a base URL (`ehr_connector.store.token_endpoints`)."""

_CONNECTION_S = 300.0
"""A connection goes to the address that was checked when it was made; a moved server is found after this time."""
_CONNECTIONS = 32
"""Connections to one EHR: boards, patients' pages, launches and the reading of coming visits share them."""
_FAREWELL_S = 60.0
"""A connection that was replaced is closed after this time: no call lasts longer."""
_DISCOVERED_S = 600.0
_EARLY_S = 30.0
"""A token is renewed this long before it expires."""
PAGE_S = 15.0
"""How long somebody waits for a page: discovery, token and answer of a slow EHR would take a minute together."""
_TOKEN_S = 300.0
"""Life of a token whose server does not say (SMART Backend Services: at most 300 s)."""


@dataclass(slots=True)
class _Remote:
    """What is known of one base URL."""

    http: Http
    made_s: float
    configuration: SmartConfiguration | None = None
    discovered_s: float = 0.0
    token: str | None = field(default=None, repr=False)
    token_ends_s: float = 0.0
    token_for: tuple[str, tuple[str, ...]] = ("", ())
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failures: int = 0
    failure: RemoteError | None = None

    @asynccontextmanager
    async def attempt(self) -> AsyncGenerator[None]:
        """Let one ask at a time; who waited shares a failure, as a slow EHR would be as slow for each of them in turn.

        Raises:
            RemoteError: Of this attempt, or of the one that was waited for.
        """
        seen = self.failures
        async with self.lock:
            if self.failure is not None and self.failures != seen:
                raise self.failure
            try:
                yield
            except RemoteError as exc:
                self.failures, self.failure = self.failures + 1, exc
                raise


@asynccontextmanager
async def in_time_for_a_page() -> AsyncGenerator[None]:
    """Bound what a page asks the EHR, whatever it takes to ask.

    Raises:
        RemoteError: It took too long.
    """
    try:
        async with asyncio.timeout(PAGE_S):
            yield
    except TimeoutError as exc:
        raise TemporaryError(SYSTEM, "answer a page", f"no answer in {PAGE_S:g} s", ambiguous=True) from exc


class EhrAccess:
    """Gives FHIR clients with a system token, and connections for launches."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        allowed: Sequence[Network],
        signing_key: Callable[[], SigningKey],
        monotonic: Callable[[], float],
        check_token_endpoint: CheckTokenEndpoint,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._check_token_endpoint = check_token_endpoint
        self._tls = tls
        self._allowed = allowed
        self._signing_key = signing_key
        self._monotonic = monotonic
        self._resolve = resolve
        self._remotes: dict[str, _Remote] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def call(self, site: Site, ask: Callable[[Fhir], Awaitable[_Found]]) -> _Found:
        """Return what `ask` gives with a system token; once more with a fresh token when the EHR refuses the token.

        Raises:
            RemoteError: What `ask` raises, or no token was granted.
            KeysError: There is no key to sign with.
        """
        remote = self._remote(site)
        token = await self._token(remote, site)
        try:
            return await ask(Fhir(remote.http, site.endpoint.base_url, token))
        except RefusedError as exc:
            if exc.status != HTTPStatus.UNAUTHORIZED:
                raise
            if remote.token == token:  # another call may have renewed it meanwhile
                remote.token = None
        return await ask(Fhir(remote.http, site.endpoint.base_url, await self._token(remote, site)))

    async def smart_configuration(self, site: Site) -> SmartConfiguration:
        """Return the SMART configuration of a site, at most ten minutes old.

        Raises:
            RemoteError: The server gave no usable answer.
        """
        remote = self._remote(site)
        async with remote.attempt():
            return await self._configuration(remote, site)

    def http(self, site: Site) -> Http:
        """Return a guarded client for this site; it must not be closed."""
        return self._remote(site).http

    async def aclose(self) -> None:
        """Close all connections."""
        for task in self._leaving:
            task.cancel()
        for remote in self._remotes.values():
            await remote.http.aclose()

    async def _token(self, remote: _Remote, site: Site) -> str:
        endpoint = site.endpoint
        wanted = (endpoint.system_client_id, tuple(endpoint.system_scopes))

        def standing() -> str | None:
            good = remote.token_for == wanted and self._monotonic() < remote.token_ends_s
            return remote.token if good else None

        if (token := standing()) is not None:
            return token
        async with remote.attempt():
            if (token := standing()) is not None:
                return token
            configuration = await self._configuration(remote, site)
            key = self._signing_key()
            grant = await system_token(
                remote.http, configuration.token_endpoint, endpoint.system_client_id, key, endpoint.system_scopes
            )
            life_s = _TOKEN_S if grant.expires_in is None else float(grant.expires_in)
            remote.token, remote.token_for = grant.access_token, wanted
            remote.token_ends_s = self._monotonic() + max(life_s - _EARLY_S, 0.0)
            return grant.access_token

    async def _configuration(self, remote: _Remote, site: Site) -> SmartConfiguration:
        if remote.configuration is None or self._monotonic() - remote.discovered_s > _DISCOVERED_S:
            found = await discover(remote.http, site.endpoint.base_url)
            await self._check_token_endpoint(site.endpoint.base_url, found.token_endpoint)
            remote.configuration = found
            remote.discovered_s = self._monotonic()
        return remote.configuration

    def _remote(self, site: Site) -> _Remote:
        remote = self._remotes.get(site.base_url)
        if remote is None:
            remote = self._remotes[site.base_url] = _Remote(self._client(), self._monotonic())
        elif self._monotonic() - remote.made_s > _CONNECTION_S:
            task = asyncio.create_task(_close_later(remote.http), name="close a replaced connection")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            remote.http, remote.made_s = self._client(), self._monotonic()
        return remote

    def _client(self) -> Http:
        return client(
            transport=GuardedTransport(
                tls=self._tls, allowed=self._allowed, resolve=self._resolve, max_connections=_CONNECTIONS
            )
        )


async def _close_later(http: Http) -> None:
    try:
        await asyncio.sleep(_FAREWELL_S)
    finally:
        await http.aclose()
