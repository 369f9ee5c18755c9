"""Sends one message once: claims it, reads the patient, decides, sends, forgets.

The claim is written before anything else, with the id and the time under which the provider takes the message once. Whatever
breaks after that, the next try has the same id: nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from ehr_clients.errors import RefusedError, RemoteError
from ehr_clients.fhir_model import Patient
from ehr_connector.keys.files import KeysError
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.metrics import Metrics
from ehr_connector.notify.decision import Facts, Reason, against_set_up, decide
from ehr_connector.notify.post import Post
from ehr_connector.notify.recipient import Unreachable
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.store.sends import Claim, Message, Sends, State
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel


class Outcome(StrEnum):
    """What became of a message against which nothing was decided."""

    SENT = "sent"
    BUSY = "busy"
    """Somebody else is sending the same one."""
    EHR_UNAVAILABLE = "ehr_unavailable"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    """Try again: it is sent once, whether the provider has it already or not."""
    PROVIDER_REFUSED = "provider_refused"
    RATE_LIMITED = "rate_limited"
    """More messages wait for the sender than the provider takes now."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the links that clinicians ask for."""

    post: Post
    sends: Sends
    secret: SecretKeys
    metrics: Metrics
    pace: Callable[[str], Awaitable[bool]]
    """Returns whether a message may go out from a sender, soon."""

    def offers(self, found: Booking, channel: Channel) -> bool:
        """Return whether the set-up allows messages by this channel, whoever the patient is."""
        return against_set_up(self.post.facts(found, channel)) is None

    async def send_link(self, found: Booking, patient_id: str, channel: Channel) -> Outcome | Reason:
        """Send the patient's link, and return what became of it.

        Two presses of a button that come together are one message; a press after the end of another is one more. After
        `PROVIDER_UNAVAILABLE` the next press goes on with the same message.
        """
        visit = self.post.service.name(found.site, found.appointment_id)
        number = await self.sends.ended(visit, Occasion.LINK, channel)
        outcome = await self._send(found, patient_id, channel, Occasion.LINK, visit, str(number))
        self.metrics.messages.labels(channel.value, Occasion.LINK.value, outcome.value).inc()
        return outcome

    async def _send(
        self, found: Booking, patient_id: str, channel: Channel, occasion: Occasion, visit: str, which: str
    ) -> Outcome | Reason:
        claim = await self.sends.claim(
            Message(
                digest=self.secret.name("send", visit, occasion, channel, which),
                visit=visit,
                namespace=found.site.namespace,
                name=found.site.organization_name,
                endpoint=found.site.endpoint.name,
                occasion=occasion.value,
                channel=channel.value,
            )
        )
        if claim is None:
            return Outcome.BUSY
        try:
            patient = await self.post.patient(found, patient_id)
        except (RemoteError, KeysError):
            await self.sends.release(claim)
            return Outcome.EHR_UNAVAILABLE
        facts = await self.post.facts_of(found, channel, patient, claim)
        reason = decide(facts)
        if reason is not None or isinstance(facts.recipient, Unreachable):
            reason = reason or Reason.NO_PHONE
            await self.sends.end(claim, State.NOT_SENT, reason=reason.value)
            return reason
        return await self._hand_over(found, occasion, claim, facts, facts.recipient, patient)

    async def _hand_over(
        self, found: Booking, occasion: Occasion, claim: Claim, facts: Facts, recipient: str, patient: Patient
    ) -> Outcome:
        if not await self.pace(facts.sender or ""):
            await self.sends.release(claim)
            return Outcome.RATE_LIMITED
        if not await self.sends.address(claim, self.post.recipient_name(found, recipient), facts.sender):
            return Outcome.BUSY
        try:
            message_id = await self.post.call(found, occasion, claim, facts, recipient, patient)
        except RefusedError as exc:
            await self.sends.end(claim, State.NOT_SENT, reason=(exc.code or f"status {exc.status}")[:64])
            return Outcome.PROVIDER_REFUSED
        except RemoteError:
            await self.sends.release(claim)
            return Outcome.PROVIDER_UNAVAILABLE
        await self.sends.end(claim, State.ACCEPTED, message_id=message_id)
        return Outcome.SENT
