"""Our clients with the simulator that they talk to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import httpx
from contract.acs_stand_in.messaging import PATIENT, SENDER
from contract.acs_stand_in.running import AcsStandIn

from ehr_clients.acs_email import Email, EmailOperation
from ehr_clients.acs_sms import Sms

REQUEST = UUID("7b5f6f0e-6f0a-4b6e-9d6e-0a1c1d0f2b3a")
LINK = "https://visits.lamna.example/v/abc"
MAILBOX = "pat@home.example"


@dataclass(frozen=True)
class Connected:
    """Our clients with the simulator that they talk to."""

    acs: AcsStandIn
    http: httpx.AsyncClient
    sms: Sms
    email: Email

    async def text(self, recipient: str = PATIENT, *, sender: str = SENDER, text: str = LINK) -> str:
        """Send a text, always under the same repeatability id."""
        return await self.sms.send(
            sender, recipient, text, request_id=REQUEST, first_sent=self.acs.settings.now(), tag="tag"
        )

    async def mail(self, sender: str = "visits@lamna.example") -> EmailOperation:
        """Send an e-mail, always under the same operation id."""
        return await self.email.send(sender, MAILBOX, "Your visit", LINK, operation_id=REQUEST, reply_to="a@b.example")

    async def accepted(self) -> int:
        """Return how many messages the provider accepted."""
        ledger = await self.acs.ledger()
        return len(ledger["texts"]) + len(ledger["emails"])
