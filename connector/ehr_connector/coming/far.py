"""Visits beyond those that are kept in memory: read a slice at a time and seldom, so that their bookings are confirmed too.

Nothing of them is kept but what has a message due.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from ehr_clients.errors import RemoteError
from ehr_connector.coming.ports import Ehr, EndpointMessages, VisitBook
from ehr_connector.coming.reading import visits_between
from ehr_connector.directory import Site
from ehr_connector.keys.files import KeysError

_log = logging.getLogger(__name__)

_SLICE = timedelta(days=14)
_SLICES = 12
"""With what is kept in memory this is half a year."""
_OVERLAP = timedelta(days=1)
"""A slice begins before the end of the one before, which was read some time ago."""
_EVERY = 4
"""One slice after so many readings of what is near: at the usual interval all are read in 36 minutes."""


class FarVisits:
    """The slices of one endpoint."""

    def __init__(self, ehr: Ehr, book: VisitBook, messages: EndpointMessages) -> None:
        self._ehr = ehr
        self._book = book
        self._messages = messages
        self._turn = 0
        self._slice = 0

    async def take_turn(self, site: Site, from_: datetime, within_s: float) -> None:
        """Read the next slice, if it is its turn; `from_` is the end of what is near. One that fails is read the next time."""
        self._turn = (self._turn + 1) % _EVERY
        if self._turn or not self._messages.are_wanted():
            return
        start = from_ + self._slice * _SLICE
        end = start + _SLICE
        try:
            async with asyncio.timeout(within_s):
                found = await visits_between(self._ehr, site, start - _OVERLAP, end)
        except (RemoteError, KeysError, TimeoutError) as exc:
            _log.warning("visits of %s/%s in weeks are not read: %s", site.namespace, site.endpoint.name, exc)
            return
        named = {self._book.name(one.site, one.appointment_id): one for one in found if one.start >= from_}
        self._messages.read(named, end, far=True)
        self._slice = (self._slice + 1) % _SLICES
