"""A hospital with its message provider: the stand-ins of the EHR, of Microsoft and of Communication Services, and a connector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.visits.acting import Chart, clinician_of, signed_in
from contract.visits.world import LOCATION, Document, World, running_world
from unit.api.full_documents import SMS_NOTIFICATIONS

from ehr_sandbox.acs.app import create_app as create_acs
from ehr_sandbox.acs.settings import AcsSettings, Behaviour, example_access_key
from ehr_sandbox.cerner.places import FACILITY_ID
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

SENDER, EMAIL_SENDER = "+18005550100", "visits@lamna.example"
ONLY_LINKS: Document = {
    "enabled": True,
    "defaultLocale": "en",
    "confirmation": {"onBooking": False, "onChange": False, "onCancellation": False},
    "reminders": [],
}
"""Settings under which nobody gets a message that no clinician sent."""


@dataclass
class Clinic:
    """The hospital with its message provider, and the list of those whom Test endpoints may write to."""

    world: World
    acs: str
    allowed: Path
    phones: int = 0

    async def patient(self, *, allowed: bool = True, **changes: Any) -> tuple[str, str]:
        """Plant a patient, by usual on the list, and return the id and the phone."""
        self.phones += 1
        phone = f"+1214555{self.phones:04}"
        if allowed:
            self.allow(phone)
        return await self.world.patient(**{"phone": phone.removeprefix("+1")} | changes), phone

    def allow(self, recipient: str) -> None:
        """Put a recipient on the list."""
        with self.allowed.open("a", encoding="utf-8") as file:
            file.write(f"{recipient}\n")

    async def chart(self, patient: str, **booking: Any) -> Chart:
        """Book a visit and open the board."""
        booked = await self.world.book(patient, **booking)
        return await signed_in(self.world, patient, booked["encounter"], **clinician_of(self.world))

    async def texts(self, phone: str) -> list[Document]:
        """The texts to a phone that the provider accepted."""
        ledger = await self.world.control(self.acs, "GET", "ledger")
        return [text for text in ledger["texts"] if text["to"] == phone]

    async def emails(self, address: str) -> list[Document]:
        """The e-mails to an address that the provider accepted."""
        ledger = await self.world.control(self.acs, "GET", "ledger")
        return [mail for mail in ledger["emails"] if mail["to"] == [address]]


@asynccontextmanager
async def running_clinic(
    work: Path, ca: LocalCA, database_url: str, *, queue_url: str | None = None, **behaviour: Any
) -> AsyncGenerator[Clinic]:
    """Run it for the time of the block; it sends nothing until it is `configured`.

    What the provider and patients answer comes through the queue, where there is one.
    """
    async with AsyncExitStack() as stack:
        chain, key = ca.server_certificate("acs", "127.0.0.1")
        usual: Document = {"verified_at_once": True, "delivery_seconds": 0, "texts_per_minute": 10_000}
        app = create_acs(AcsSettings(behaviour=Behaviour.model_validate(usual | behaviour), queue_url=queue_url))
        acs = await stack.enter_async_context(serve(app, ssl_certfile=chain, ssl_keyfile=key))
        (work / "access-key").write_text(example_access_key())
        allowed = work / "recipients" / "lamna" / "lamna"
        allowed.parent.mkdir(parents=True)
        allowed.touch()
        world = await stack.enter_async_context(
            running_world(
                work,
                ca,
                database_url,
                acs_credential=f"file:{work / 'access-key'}",
                trusted_urls=acs,
                test_recipients_dir=work / "recipients",
                events_queue_url=queue_url,
            )
        )
        await world.control(acs, "POST", "state", json={"own": [SENDER]})
        world.location = FACILITY_ID
        yield Clinic(world, acs, allowed)


def sending(clinic: Clinic, *, sms: Document | None = None, sender: str | None = SENDER) -> Document:
    """What of the document is about messages."""
    endpoints = deepcopy(clinic.world.document["endpoints"])
    for endpoint in endpoints:
        # Where the stand-in has no bookings of its own: so that whoever gets a message is a patient of the test.
        if endpoint["appointments"]["locations"] == [LOCATION]:
            endpoint["appointments"]["locations"] = [clinic.world.location]
        endpoint.pop("senderNumber", None)
        if sender is not None:
            endpoint["senderNumber"] = sender
    return {
        "communicationServices": {"endpoint": clinic.acs},
        "smsNotifications": SMS_NOTIFICATIONS | ONLY_LINKS | (sms or {}),
        "emailNotifications": {"enabled": True, "senderAddress": EMAIL_SENDER, "replyTo": "desk@lamna.example"},
        "endpoints": endpoints,
    }


async def configured(clinic: Clinic, **changes: Any) -> None:
    """Configure the organisation, and wait until every part of the connector goes by it."""
    await clinic.world.configure(**sending(clinic, **changes))
    await asyncio.sleep(0.6)
