"""Our client with the simulator that it talks to."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import httpx
from contract.acs_stand_in.running import AcsStandIn

from ehr_clients.acs_numbers import AvailableNumber, Capabilities, PhoneNumbers

TEXTS = Capabilities(calling="none", sms="inbound+outbound")


@dataclass(frozen=True)
class Connected:
    """A client with the simulator that it talks to."""

    acs: AcsStandIn
    http: httpx.AsyncClient
    numbers: PhoneNumbers

    async def on_sale(self, count: int = 1) -> list[AvailableNumber]:
        """Return numbers that can be reserved."""
        return (await self.numbers.browse("US", "tollFree", TEXTS, None))[:count]

    async def reserved(self) -> str:
        """Put a number into a new reservation and return the reservation's id."""
        reservation_id = str(uuid.uuid4())
        await self.numbers.reserve(reservation_id, (await self.on_sale())[0])
        return reservation_id

    async def arrivals(self) -> int:
        """Return how many requests the first fault rule has met, counted as they arrive."""
        return (await self.acs.control("GET", "faults"))[0]["matched"]
