"""The organisations that the connector serves, and the FHIR base URLs that belong to them."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from urllib.parse import urlsplit

from sqlalchemy import and_, delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ehr_api.control import EndpointConfiguration, OrganizationConfiguration
from ehr_connector.store.database import reading
from ehr_connector.store.schema import base_url_claim, organization

_CLAIMS_A_STATEMENT = 200
_ENCODED_ASCII = re.compile("%([2-7][0-9A-Fa-f])")
_SERIALIZATION = frozenset({"40001", "40P01"})
"""PostgreSQL: serialization failure, deadlock detected."""


Noting = Callable[[AsyncConnection], Awaitable[None]]
"""Writes down that something was done, in the transaction that does it."""


async def _nothing(_connection: AsyncConnection) -> None:
    """Write nothing down."""


class PreconditionFailedError(Exception):
    """The organisation's configuration is not the one that the caller has seen."""


class BaseUrlClaimedError(Exception):
    """A base URL belongs to another organisation of this connector."""

    def __init__(self, base_url: str, endpoint_url: str) -> None:
        super().__init__(base_url)
        self.base_url = base_url
        self.endpoint_url = endpoint_url
        """The same as the configuration writes it."""


@dataclass(frozen=True)
class Held:
    """A configuration as it stands in the database."""

    configuration: OrganizationConfiguration
    digest: str
    """Computed from the document, so that a change behind our back shows."""

    @cached_property
    def _endpoints(self) -> dict[str, EndpointConfiguration]:
        return {endpoint.name: endpoint for endpoint in self.configuration.endpoints}

    def endpoint(self, name: str) -> EndpointConfiguration | None:
        """Return one endpoint of the organisation."""
        return self._endpoints.get(name)


@dataclass(frozen=True, slots=True)
class Precondition:
    """What the caller believes to stand: a digest (If-Match), anything (`*`), or nothing (If-None-Match: *)."""

    digest: str | None
    """None: there must be no configuration. `*`: there must be one."""

    def holds(self, standing: str | None) -> bool:
        """Return whether this is what stands."""
        return standing is not None if self.digest == "*" else standing == self.digest


class Organizations:
    """Reads and writes configurations."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now
        self._last_read: dict[tuple[str, str], Held] = {}

    async def get(self, namespace: str, name: str) -> Held | None:
        """Return the configuration of an organisation, or None."""
        async with self._reads.connect() as connection:
            row = (await connection.execute(select(organization.c.document).where(_is(namespace, name)))).one_or_none()
        if row is None:
            self._last_read.pop((namespace, name), None)
            return None
        held = self._last_read[namespace, name] = _held(row.document)
        return held

    async def current(self, namespace: str, name: str) -> Held | None:
        """Return the configuration as `get` does, but read it only when its stated digest is another one than before."""
        async with self._reads.connect() as connection:
            stated = (
                await connection.execute(select(organization.c.digest).where(_is(namespace, name)))
            ).scalar_one_or_none()
        known = self._last_read.get((namespace, name))
        if stated is None or (known is not None and known.digest == stated):
            return known if stated is not None else None
        return await self.get(namespace, name)

    async def put(
        self, configuration: OrganizationConfiguration, precondition: Precondition, note: Noting = _nothing
    ) -> str:
        """Hold this configuration instead of the one before, and return its digest.

        Raises:
            PreconditionFailedError: Something else stands than the caller believes.
            BaseUrlClaimedError: A base URL belongs to another organisation.
        """
        namespace, name = configuration.namespace, configuration.name
        values = {
            "digest": configuration.digest(),
            "document": json.dumps(configuration.to_api(), separators=(",", ":")),
            "configured_at": self._now(),
        }
        try:
            async with self._engine.begin() as connection:
                standing = (
                    await connection.execute(
                        select(organization.c.document).where(_is(namespace, name)).with_for_update()
                    )
                ).scalar_one_or_none()
                if not precondition.holds(None if standing is None else _held(standing).digest):
                    raise PreconditionFailedError
                if standing is None:
                    await connection.execute(insert(organization).values(namespace=namespace, name=name, **values))
                else:
                    await connection.execute(update(organization).where(_is(namespace, name)).values(**values))
                await _claim(connection, configuration)
                await note(connection)
        except (IntegrityError, OperationalError) as exc:
            if isinstance(exc, OperationalError) and getattr(exc.orig, "sqlstate", None) not in _SERIALIZATION:
                raise
            # Another process was faster; what it holds now decides.
            raise PreconditionFailedError from exc
        return str(values["digest"])

    async def delete(self, namespace: str, name: str, note: Noting = _nothing) -> bool:
        """Forget an organisation, and return whether there was one."""
        async with self._engine.begin() as connection:
            was_there = (await connection.execute(delete(organization).where(_is(namespace, name)))).rowcount > 0
            if was_there:
                await note(connection)
        return was_there

    async def digests(self) -> dict[tuple[str, str], str]:
        """Return the stated digest of every organisation, by namespace and name."""
        columns = select(organization.c.namespace, organization.c.name, organization.c.digest)
        async with self._reads.connect() as connection:
            return {(row.namespace, row.name): row.digest for row in await connection.execute(columns)}

    async def count(self) -> int:
        """Return how many organisations are served."""
        async with self._reads.connect() as connection:
            return len((await connection.execute(select(organization.c.name))).all())


async def _claim(connection: AsyncConnection, configuration: OrganizationConfiguration) -> None:
    """Bring the claims in line with the document; only what changed is written."""
    owner = (configuration.namespace, configuration.name)
    desired = {claimed_as(endpoint.base_url): endpoint.name for endpoint in configuration.endpoints}
    mine = and_(base_url_claim.c.namespace == owner[0], base_url_claim.c.name == owner[1])
    rows = await connection.execute(select(base_url_claim.c.base_url, base_url_claim.c.endpoint).where(mine))
    standing = {row.base_url: row.endpoint for row in rows}
    gone = [url for url, endpoint in standing.items() if desired.get(url) != endpoint]
    added = {url: endpoint for url, endpoint in desired.items() if standing.get(url) != endpoint}
    for urls in _chunks(sorted(gone)):
        await connection.execute(delete(base_url_claim).where(mine, base_url_claim.c.base_url.in_(urls)))
    # In one order for all, so that two that claim the same addresses wait for each other and do not deadlock.
    for urls in _chunks(sorted(added)):
        claimed = await connection.execute(
            select(base_url_claim.c.base_url).where(
                base_url_claim.c.base_url.in_(urls),
                tuple_(base_url_claim.c.namespace, base_url_claim.c.name) != owner,
            )
        )
        first = claimed.scalars().first()
        if first is not None:
            written = next(one.base_url for one in configuration.endpoints if claimed_as(one.base_url) == first)
            raise BaseUrlClaimedError(first, written)
        rows_to_add = [
            {"base_url": url, "namespace": owner[0], "name": owner[1], "endpoint": added[url]} for url in urls
        ]
        await connection.execute(insert(base_url_claim), rows_to_add)


def canonical(base_url: str) -> str:
    """Return a base URL in the one form that is compared: host in lower case, no default port, no slash at the end.

    Raises:
        ValueError: It is not a URL.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    netloc = f"[{host}]" if ":" in host else host
    if parts.port not in {None, 443}:
        netloc += f":{parts.port}"
    return parts._replace(scheme=parts.scheme.lower(), netloc=netloc).geturl().rstrip("/")


def claimed_as(url: str) -> str:
    """Return the form under which an address belongs to an organisation: that of all others that may reach the same.

    A path in another case, with dots, needless percent-encoding, empty segments or parameters of a segment is the same path to
    some server or other: whoever writes one so must not come to what is another organisation's.

    Raises:
        ValueError: It is not a URL.
    """
    parts = urlsplit(canonical(url))
    path = _ENCODED_ASCII.sub(lambda found: chr(int(found[1], 16)), parts.path).replace("\\", "/")
    kept: list[str] = []
    for segment in (one.partition(";")[0] for one in path.split("/")):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment.lower())
    return parts._replace(path="".join(f"/{one}" for one in kept), query="", fragment="").geturl()


@lru_cache(maxsize=64)
def _held(document: str) -> Held:
    """Return a document with its digest; most readings find the document of the last one."""
    configuration = OrganizationConfiguration.model_validate_json(document)
    return Held(configuration, configuration.digest())


def _is(namespace: str, name: str):  # noqa: ANN202 (SQLAlchemy's expression types are internal)
    return and_(organization.c.namespace == namespace, organization.c.name == name)


def _chunks(urls: Iterable[str]) -> Iterable[list[str]]:
    listed = list(urls)
    for start in range(0, len(listed), _CLAIMS_A_STATEMENT):
        yield listed[start : start + _CLAIMS_A_STATEMENT]
