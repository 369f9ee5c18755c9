"""Pages of a search: links that say nothing to the client and are good for a while only.

The last entry of a page comes again as the first of the next one, since in Millennium the same id may be on two pages:
a client must keep each id once.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from ehr_sandbox.cerner.errors import invalid

CONTEXT, DIRECTION = "-pageContext", "-pageDirection"
_REMEMBERED = 5_000
"""Links that are good at a time; the oldest ones go first."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer holds."""

    ids: tuple[str, ...]
    links: dict[str, str]
    """By relation, each relative to the base URL."""


@dataclass(frozen=True, slots=True)
class _Context:
    tenant: str
    kind: str
    ids: tuple[str, ...]
    first: int
    size: int
    expires: datetime


class Pages:
    """The links that were given out."""

    def __init__(self, life_s: int, now: Callable[[], datetime]) -> None:
        self._life = timedelta(seconds=life_s)
        self._now = now
        self._contexts: OrderedDict[str, _Context] = OrderedDict()

    def first(
        self, tenant: str, kind: str, query: Iterable[tuple[str, str]], ids: tuple[str, ...], size: int | None
    ) -> Page:
        """Return the first page of a search, or the only one when there is no size."""
        links = {"self": f"/{kind}?{urlencode(list(query))}"}
        if size is None or len(ids) <= size:
            return Page(ids, links)
        return self._page(links, tenant, kind, ids, 0, size)

    def follow(self, tenant: str, kind: str, items: Iterable[tuple[str, str]]) -> Page:
        """Return the page that a link leads to.

        Raises:
            FhirError: The link was not given out for this address, was changed, or has expired.
        """
        given = dict(items)
        context = self._contexts.get(given.get(CONTEXT, ""))
        if context is None or (context.tenant, context.kind) != (tenant, kind) or context.expires <= self._now():
            raise invalid("The page context is not valid or has expired; repeat the search")
        links = {"self": f"/{kind}?{urlencode(given)}"}
        return self._page(links, tenant, kind, context.ids, context.first, context.size)

    def _page(self, links: dict[str, str], tenant: str, kind: str, ids: tuple[str, ...], first: int, size: int) -> Page:
        # With pages of one entry nothing can come again, or the walk would stand still.
        step = max(size - 1, 1)
        if first + size < len(ids):
            links["next"] = self._link(tenant, kind, ids, first + step, size, "NEXT")
        if first > 0:
            links["previous"] = self._link(tenant, kind, ids, max(first - step, 0), size, "PREVIOUS")
        return Page(ids[first : first + size], links)

    def _link(self, tenant: str, kind: str, ids: tuple[str, ...], first: int, size: int, direction: str) -> str:
        name = secrets.token_urlsafe(24)
        self._contexts[name] = _Context(tenant, kind, ids, first, size, self._now() + self._life)
        while len(self._contexts) > _REMEMBERED:
            self._contexts.popitem(last=False)
        return f"/{kind}?{urlencode({CONTEXT: name, DIRECTION: direction})}"
