"""Which organisation and endpoint a FHIR base URL, a name or a link belongs to, as the operator configured it last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from sqlalchemy.exc import SQLAlchemyError

from ehr_api.control import EndpointConfiguration, OrganizationConfiguration
from ehr_api.v1alpha1.fhir_endpoint import Environment
from ehr_connector.store.organizations import Organizations, canonical

_log = logging.getLogger(__name__)

_FRESH_S = 0.5
"""How long the directory is used without a look at the database: a change reaches every replica in this time."""
_MISSED_S = 0.05
"""The same when something is missed; it keeps those who ask for what there is not from storming the database."""
_STALE_S = 300.0
"""How long the directory is used when the database is away."""
_TAG_BYTES = 8


@dataclass(frozen=True)
class Site:
    """One FHIR base URL with the organisation that it belongs to."""

    organization: OrganizationConfiguration
    endpoint: EndpointConfiguration

    @property
    def namespace(self) -> str:
        """Namespace of the organisation."""
        return self.organization.namespace

    @property
    def organization_name(self) -> str:
        """Name of the organisation's EHRConnectorConfig."""
        return self.organization.name

    @property
    def is_test(self) -> bool:
        """Whether it is a Test endpoint: pages say so."""
        return self.endpoint.environment is Environment.TEST

    @cached_property
    def base_url(self) -> str:
        """The FHIR base URL in the form that is compared."""
        return canonical(self.endpoint.base_url)

    @cached_property
    def tag(self) -> bytes:
        """The base URL in eight bytes. Ids of the EHR mean something only together with it."""
        return sha256(self.base_url.encode()).digest()[:_TAG_BYTES]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    digests: Mapping[tuple[str, str], str]
    by_base_url: Mapping[str, Site]
    by_tag: Mapping[bytes, Site]
    by_name: Mapping[tuple[str, str], Site]
    organizations: Mapping[tuple[str, str], OrganizationConfiguration] = field(repr=False)


class Directory:
    """Looks sites up in memory; the database is asked for digests now and then, for documents on a change."""

    def __init__(self, organizations: Organizations, monotonic: Callable[[], float]) -> None:
        self._organizations = organizations
        self._monotonic = monotonic
        self._snapshot = _Snapshot({}, {}, {}, {}, {})
        self._read_s: float | None = None
        self._good_s: float | None = None
        """When the database last answered."""
        self._lock = asyncio.Lock()

    async def by_base_url(self, base_url: str) -> Site | None:
        """Return the site of a FHIR base URL (`iss`), in whatever form it is written."""
        try:
            form = canonical(base_url)
        except ValueError:
            return None
        return (await self._current()).by_base_url.get(form) or (await self._newest()).by_base_url.get(form)

    async def by_tag(self, tag: bytes) -> Site | None:
        """Return the site that a link names."""
        return (await self._current()).by_tag.get(tag) or (await self._newest()).by_tag.get(tag)

    async def by_name(self, namespace: str, endpoint: str) -> Site | None:
        """Return the site of a FhirEndpoint."""
        return (await self._current()).by_name.get((namespace, endpoint))

    async def organization(self, namespace: str, name: str) -> OrganizationConfiguration | None:
        """Return the configuration of an organisation."""
        key = (namespace, name)
        return (await self._current()).organizations.get(key) or (await self._newest()).organizations.get(key)

    async def organizations(self) -> Sequence[OrganizationConfiguration]:
        """Return every organisation."""
        return tuple((await self._current()).organizations.values())

    async def sites(self) -> Sequence[Site]:
        """Return every site."""
        return tuple((await self._current()).by_name.values())

    def embedders(self) -> Sequence[str]:
        """Return the origins that may frame some clinician's page, as last read; the database is not asked."""
        allowed = (one.visits.frame_ancestors for one in self._snapshot.organizations.values() if one.visits)
        return sorted({origin for origins in allowed for origin in origins})

    async def _current(self) -> _Snapshot:
        return await self._at_most(_FRESH_S)

    async def _newest(self) -> _Snapshot:
        """Look again for what is not there: it may have been configured this moment."""
        return await self._at_most(_MISSED_S)

    async def _at_most(self, age_s: float) -> _Snapshot:
        if self._is_older(age_s):
            async with self._lock:
                if self._is_older(age_s):
                    await self._refreshed()
        return self._snapshot

    def _is_older(self, age_s: float) -> bool:
        return self._read_s is None or self._monotonic() - self._read_s >= age_s

    async def _refreshed(self) -> None:
        """Look at the database; while it is away, what was read last is used for some minutes.

        So a patient is still told whom to call.
        """
        try:
            await self._refresh()
        except SQLAlchemyError as exc:
            now_s = self._monotonic()
            if self._good_s is None or now_s - self._good_s >= _STALE_S:
                raise
            _log.warning("the database is away, configurations of before are used: %s", type(exc).__name__)
            self._read_s = now_s
        else:
            self._good_s = self._read_s

    async def _refresh(self) -> None:
        started_s = self._monotonic()
        digests = await self._organizations.digests()
        if digests != self._snapshot.digests or self._read_s is None:
            self._snapshot = await self._read(digests)
        self._read_s = started_s

    async def _read(self, digests: Mapping[tuple[str, str], str]) -> _Snapshot:
        known = self._snapshot
        organizations: dict[tuple[str, str], OrganizationConfiguration] = {}
        for key, digest in digests.items():
            if known.digests.get(key) == digest:
                organizations[key] = known.organizations[key]
            elif (held := await self._organizations.get(*key)) is not None:
                organizations[key] = held.configuration
        sites = [Site(one, endpoint) for one in organizations.values() for endpoint in one.endpoints]
        return _Snapshot(
            digests={key: digests[key] for key in organizations},
            by_base_url={site.base_url: site for site in sites},
            by_tag={site.tag: site for site in sites},
            by_name={(site.namespace, site.endpoint.name): site for site in sites},
            organizations=organizations,
        )
