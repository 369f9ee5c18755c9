"""Reads the visits of an endpoint that begin in some span of time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from ehr_clients.fhir import Actor, Fhir
from ehr_clients.fhir_model import Appointment
from ehr_connector.coming.ports import Ehr
from ehr_connector.directory import Site
from ehr_connector.visits.booking import Booking, booking

_IDS_A_SEARCH = 20


async def visits_between(ehr: Ehr, site: Site, start: datetime, end: datetime) -> list[Booking]:
    """Return the virtual visits of the endpoint's locations and practitioners that begin in [start, end).

    Raises:
        RemoteError, KeysError: The list would not be whole.
    """
    appointments = site.endpoint.appointments
    found: dict[str, Appointment] = {}
    actors: list[tuple[Actor, Sequence[str]]] = [
        ("location", appointments.locations),
        ("practitioner", appointments.practitioners),
    ]
    for actor, ids in actors:
        for first in range(0, len(ids), _IDS_A_SEARCH):
            page = await ehr.call(site, _search(actor, ids[first : first + _IDS_A_SEARCH], start, end))
            found |= {one.id: one for one in page}
    bookings = [booking(site, one) for one in found.values()]
    return [one for one in bookings if one is not None]


def _search(
    actor: Actor, ids: Sequence[str], start: datetime, end: datetime
) -> Callable[[Fhir], Awaitable[list[Appointment]]]:
    async def search(fhir: Fhir) -> list[Appointment]:
        return await fhir.appointments(actor, ids, start, end)

    return search
