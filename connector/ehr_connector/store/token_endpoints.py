"""Which organisation a token endpoint belongs to.

A FHIR server says itself where tokens for it are granted. One that names the authorization server of another hospital would
have a token for that hospital's patients sent to itself, since the connector signs for all with one key: so a token endpoint
belongs to the organisation that was first configured with a base URL that names it. An authorization server may have several
addresses for the same thing, so one in the domain of another organisation's EHR is refused to servers of other domains, claimed
or not.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_clients.errors import ContractError, TemporaryError
from ehr_clients.fhir import SYSTEM
from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.organizations import canonical, claimed_as
from ehr_connector.store.schema import base_url_claim, token_endpoint_claim

_Claim = Row[Any]
"""A row of `base_url_claim`."""
_OPERATION = "read SMART configuration"


class ForeignTokenEndpointError(ContractError):
    """The server names a token endpoint that is another organisation's."""


class TokenEndpoints:
    """The claims."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._own: set[tuple[str, str]] = set()
        """Those that were found to be right, for while the database is away."""

    async def check(self, base_url: str, token_endpoint: str) -> None:
        """Return when tokens from this endpoint may be sent to the base URL.

        Raises:
            ForeignTokenEndpointError: They may not.
            TemporaryError: Nobody can say now.
        """
        form = _claimed_as(token_endpoint)
        pair = (base_url, sha256(form.encode()).hexdigest())
        # What a server grants itself, it may be sent.
        is_same = _host(claimed_as(base_url)) == _host(form)
        try:
            # First of all: who may not have it claims nothing.
            is_elsewhere = not is_same and await self._is_anothers_domain(base_url, form)
            is_own = not is_elsewhere and await self._is_own(*pair)
        except SQLAlchemyError as exc:
            if pair in self._own:
                return
            raise TemporaryError(SYSTEM, _OPERATION, "whose its token endpoint is cannot be read now") from exc
        if not is_own and not is_same:
            self._own.discard(pair)
            raise ForeignTokenEndpointError(SYSTEM, _OPERATION, "its token endpoint is another organisation's")
        self._own.add(pair)

    async def _is_own(self, base_url: str, digest: str) -> bool:
        async with self._reads.connect() as connection:
            held = await _holder(connection, digest)
            mine = await _owner(connection, base_url)
        if held is None and mine is not None:
            held = await self._claimed(mine.base_url, digest)
        return held is not None and mine is not None and (held.namespace, held.name) == (mine.namespace, mine.name)

    async def _is_anothers_domain(self, base_url: str, token_endpoint: str) -> bool:
        """Return whether another organisation has its EHR in the domain of the token endpoint, and this one has not."""
        domain = _domain(token_endpoint)
        if _domain(claimed_as(base_url)) == domain:
            return False
        async with self._reads.connect() as connection:
            mine = await _owner(connection, base_url)
            rows = await connection.execute(select(base_url_claim))
            ours = (mine.namespace, mine.name) if mine else None
            return any(_domain(row.base_url) == domain and (row.namespace, row.name) != ours for row in rows)

    async def _claimed(self, base_url: str, digest: str) -> _Claim | None:
        """Claim it, and return who holds it then: another may have been faster."""
        values = {"token_endpoint": digest, "base_url": base_url}
        try:
            async with self._engine.begin() as connection:
                await connection.execute(
                    insert_for(connection)(token_endpoint_claim).values(**values).on_conflict_do_nothing()
                )
                return await _holder(connection, digest)
        except IntegrityError:
            return None  # the base URL went in this moment


async def _holder(connection: AsyncConnection, digest: str) -> _Claim | None:
    query = select(base_url_claim).join(token_endpoint_claim)
    return (await connection.execute(query.where(token_endpoint_claim.c.token_endpoint == digest))).one_or_none()


async def _owner(connection: AsyncConnection, base_url: str) -> _Claim | None:
    # A replica of an earlier version, while both run, claims it as it is written.
    forms = (claimed_as(base_url), canonical(base_url))
    found = await connection.execute(select(base_url_claim).where(base_url_claim.c.base_url.in_(forms)))
    rows = {row.base_url: row for row in found}
    return next((rows[form] for form in forms if form in rows), None)


def _claimed_as(token_endpoint: str) -> str:
    try:
        return claimed_as(token_endpoint)
    except ValueError as exc:
        raise ContractError(SYSTEM, _OPERATION, "token_endpoint is not a URL") from exc


def _host(form: str) -> str:
    """Return the host with its port: with the scheme, which is https here, that is the origin."""
    return urlsplit(form).netloc


def _domain(form: str) -> str:
    """Return the last two labels of the host: what one company has, save under some countries' domains."""
    return ".".join((urlsplit(form).hostname or "").split(".")[-2:])
