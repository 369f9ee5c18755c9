"""The Teams meeting of a visit: one, whoever asks and however often.

`createOrGet` makes it under the visit's keyed name, by an organiser that the name chooses, so that replicas that ask at
the same time get the same meeting. Afterwards the lobby is set, and the clinicians who launched are made co-organisers.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from weakref import WeakValueDictionary

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.ehr_connector_config import PatientJoin
from ehr_clients.entra.credentials import CredentialError
from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.graph import Graph, OnlineMeeting
from ehr_connector.store.graph_refusals import GraphRefusals
from ehr_connector.store.mutex import Mutex
from ehr_connector.store.visits import Meeting, VisitRow, Visits
from ehr_connector.teams.access import GraphAccess
from ehr_connector.teams.refusals import TeamsError, error_of, is_limit, limit_reached, took_too_long

SUBJECT = "Virtual visit"
"""All that the invitation says: no name, no department."""
_LONGEST_ADDRESS = 2048
_FRESH_S = 60.0
"""A meeting that was looked at is not looked at again for this time, unless something else is wanted of it."""
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Seen:
    """A meeting as it was when we looked last."""

    seen_s: float
    starts_at: datetime
    ends_at: datetime
    organizers: frozenset[str]
    meeting: Meeting

    def satisfies(self, row: VisitRow, wanted: frozenset[str], now_s: float) -> bool:
        return (
            now_s - self.seen_s < _FRESH_S
            and (self.starts_at, self.ends_at) == (row.starts_at, row.ends_at)
            and wanted <= self.organizers
        )


class Meetings:
    """Holds meetings."""

    def __init__(
        self,
        access: GraphAccess,
        visits: Visits,
        ask_subscription: Callable[[VisitRow], Awaitable[None]],
        is_listened_to: Callable[[str], Awaitable[bool]],
        mutex: Mutex,
        refusals: GraphRefusals,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._visits = visits
        self._ask_subscription = ask_subscription
        self._is_listened_to = is_listened_to
        self._mutex = mutex
        self._refusals = refusals
        self._monotonic = monotonic
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._addresses: OrderedDict[tuple[str, str], tuple[float, str | None]] = OrderedDict()

    async def ensure(
        self, organization: OrganizationConfiguration, row: VisitRow, co_organizers: Sequence[str] = ()
    ) -> Meeting:
        """Return the meeting of a visit, with its times, its lobby and these accounts among its co-organisers.

        Raises:
            TeamsError: It cannot be had now; the reason and what mends it are in it.
        """
        wanted = frozenset(one.lower() for one in co_organizers)
        graph = self._access.of(organization)
        # One at a time for a visit: the list of co-organisers is read, added to and written.
        lock = self._locks.setdefault(row.visit, asyncio.Lock())
        async with lock:
            seen = self._seen.get(row.visit)
            if seen is not None and seen.satisfies(row, wanted, self._monotonic()):
                return seen.meeting
            try:
                # And over all replicas: two clinicians who join at once must both be on the list that stands.
                async with self._mutex.held(f"meeting {row.visit}"):
                    row, organizer, meeting = await self._standing(graph, organization, row)
                    try:
                        standing = await _adjust(graph, organizer, meeting, row, wanted)
                    except (RemoteError, CredentialError) as exc:
                        raise error_of(exc, organization, organizer) from exc
                    ours = await self._recorded(row, Meeting(organizer, meeting.id, meeting.join_web_url))
                    await self._ask_subscription(row)
            except TimeoutError as exc:
                raise TeamsError(took_too_long()) from exc
            except TeamsError as exc:
                # All replicas serve the condition, and only this one was told.
                await self._refusals.note(organization.namespace, organization.name, exc.reason)
                raise
            self._seen[row.visit] = _Seen(
                self._monotonic(), row.starts_at, row.ends_at, standing | {organizer.lower()}, ours
            )
            _shorten(self._seen)
            return ours

    async def is_listened_to(self, visit: str) -> bool:
        """Return whether Graph tells us what happens in the meeting of a visit."""
        return await self._is_listened_to(visit)

    async def patient_address(self, organization: OrganizationConfiguration, meeting: Meeting) -> str:
        """Return the address at which a patient joins without an account.

        Where the virtual-appointment address is wanted and cannot be had, it is the meeting's own: a patient who is
        waiting is not to be turned away.
        """
        if organization.microsoft365.patient_join is PatientJoin.VIRTUAL_APPOINTMENT:
            address = await self._appointment_address(organization, meeting)
            if address is not None:
                return address
        separator = "&" if "?" in meeting.join_web_url else "?"
        address = f"{meeting.join_web_url}{separator}anon=true"
        return address if len(address) <= _LONGEST_ADDRESS else meeting.join_web_url

    async def _appointment_address(self, organization: OrganizationConfiguration, meeting: Meeting) -> str | None:
        key = (organization.microsoft365.client_id, meeting.meeting_id)
        known = self._addresses.get(key)
        if known is not None and self._monotonic() - known[0] < _FRESH_S:
            return known[1]
        try:
            graph = self._access.of(organization)
            address = await graph.virtual_appointment_url(meeting.organizer, meeting.meeting_id)
        except RefusedError:
            # Microsoft's pages disagree on whether an application may ask.
            address = None
        except (RemoteError, CredentialError, TeamsError):
            return None
        self._addresses[key] = (self._monotonic(), address)
        _shorten(self._addresses)
        return address

    async def _standing(
        self, graph: Graph, organization: OrganizationConfiguration, row: VisitRow
    ) -> tuple[VisitRow, str, OnlineMeeting]:
        """Return the visit as it is recorded now, and its one meeting with its organiser."""
        # The row was read before we were alone: another replica may have made a meeting, by another organiser.
        now = await self._visits.get(row.visit)
        row = replace(row, meeting=now.meeting) if now is not None else row
        found = await self._found(graph, organization, row) or await self._made(graph, organization, row)
        return row, *found

    async def _recorded(self, row: VisitRow, ours: Meeting) -> Meeting:
        """Record the meeting, once it is as it must be."""
        if row.meeting != ours and await self._visits.set_meeting(row.visit, ours, row.meeting) != ours:
            raise TeamsError(took_too_long())  # our lease had passed on; the next try finds the other one
        return ours

    async def _found(
        self, graph: Graph, organization: OrganizationConfiguration, row: VisitRow
    ) -> tuple[str, OnlineMeeting] | None:
        """Return the meeting that the visit has, unless it is gone: its organiser stays, whoever is configured now."""
        if row.meeting is None:
            return None
        try:
            return row.meeting.organizer, await graph.meeting(row.meeting.organizer, row.meeting.meeting_id)
        except RefusedError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise error_of(exc, organization, row.meeting.organizer) from exc
        except (RemoteError, CredentialError) as exc:
            raise error_of(exc, organization, row.meeting.organizer) from exc

    async def _made(
        self, graph: Graph, organization: OrganizationConfiguration, row: VisitRow
    ) -> tuple[str, OnlineMeeting]:
        """Create the meeting, by the first organiser in the visit's own order who may make another one."""
        for organizer in organizers_of(row.visit, organization.microsoft365.meeting_organizers):
            try:
                made = await graph.create_or_get_meeting(
                    organizer, row.visit, start=row.starts_at, end=row.ends_at, subject=SUBJECT
                )
            except (RemoteError, CredentialError) as exc:
                if isinstance(exc, RemoteError) and is_limit(exc):
                    continue
                raise error_of(exc, organization, organizer) from exc
            await self._refusals.clear(organization.namespace, organization.name)
            return organizer, made
        raise TeamsError(limit_reached(organization))


def organizers_of(visit: str, organizers: Iterable[str]) -> list[str]:
    """Return the organisers in the order in which a visit prefers them.

    By highest random weight: when an account is added, only the visits that it wins move to it.
    """
    distinct = {organizer.lower() for organizer in organizers}
    return sorted(distinct, key=lambda organizer: sha256(f"{organizer} {visit}".encode()).digest(), reverse=True)


async def _adjust(
    graph: Graph, organizer: str, meeting: OnlineMeeting, row: VisitRow, wanted: frozenset[str]
) -> frozenset[str]:
    """Bring times, lobby and co-organisers in line, and return the latter; nothing is sent when they are."""
    standing = frozenset(one.lower() for one in meeting.co_organizers)
    desired = (standing | wanted) - {organizer.lower()}
    if (
        not meeting.has_our_lobby
        or (meeting.start_date_time, meeting.end_date_time) != (row.starts_at, row.ends_at)
        or desired != standing
    ):
        await graph.update_meeting(
            organizer, meeting.id, start=row.starts_at, end=row.ends_at, co_organizers=sorted(desired)
        )
    return desired


def _shorten(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)
