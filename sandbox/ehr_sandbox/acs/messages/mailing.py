"""Sending e-mail: a long-running operation that the caller may name.

Source: azure-rest-api-specs, Communication/data-plane/Email/stable/2025-09-01; "Service limits". That a second send under
the same Operation-Id is the first one's operation is read from its description ("identifies the operation"), not seen.
"""

from __future__ import annotations

import math
import uuid
from datetime import timedelta

from pydantic import Field

from ehr_sandbox.acs.errors import AzureError, bad_request, not_found, too_many
from ehr_sandbox.acs.messages.model import Mail
from ehr_sandbox.acs.model import Wire
from ehr_sandbox.acs.world import World


class Address(Wire):
    """An address, perhaps with a name."""

    address: str = Field(pattern="^[^@ ]+@[^@ ]+$")
    display_name: str | None = None


class Content(Wire):
    """What is in the e-mail; one of the two texts must be there."""

    subject: str
    plain_text: str | None = None
    html: str | None = None


class Recipients(Wire):
    """Whom it goes to."""

    to: list[Address] = Field(default_factory=list[Address])
    cc: list[Address] = Field(default_factory=list[Address])
    bcc: list[Address] = Field(default_factory=list[Address])


class EmailRequest(Wire):
    """The body of a send."""

    sender_address: str
    content: Content
    recipients: Recipients
    reply_to: list[Address] = Field(default_factory=list[Address])


def send(world: World, wanted: EmailRequest, operation_id: str | None) -> Mail:
    """Accept an e-mail, or return the one that was accepted under this operation id.

    Raises:
        AzureError: the request is wrong, the sender's domain is not linked, or there were too many.
    """
    if operation_id is not None:
        try:
            uuid.UUID(operation_id)
        except ValueError as exc:
            raise bad_request("The header Operation-Id must be a UUID.") from exc
    known = world.state.messages.mails.get(operation_id or "")
    if known is not None:
        return known
    everybody = [*wanted.recipients.to, *wanted.recipients.cc, *wanted.recipients.bcc]
    if not everybody or len(everybody) > 50:  # noqa: PLR2004 (service limit)
        raise bad_request("An e-mail must have 1 to 50 recipients.")
    if wanted.content.plain_text is None and wanted.content.html is None:
        raise bad_request("The content must have `plainText` or `html`.")
    if wanted.sender_address.rpartition("@")[2].lower() not in world.settings.email_domains:
        raise AzureError(404, "DomainNotLinked", "The specified sender domain has not been linked.")
    _keep_to_the_rate(world)
    now = world.now()
    mail = Mail(
        id=operation_id or world.new_id(),
        sender=wanted.sender_address,
        to=[one.address for one in everybody],
        subject=wanted.content.subject,
        text=wanted.content.plain_text or wanted.content.html or "",
        reply_to=[one.address for one in wanted.reply_to],
        accepted_at=now,
        due_at=now + timedelta(seconds=world.behaviour.delivery_seconds),
    )
    if world.state.messages.planned_mail_failures:
        world.state.messages.planned_mail_failures -= 1
        mail.failure = "EmailDroppedAllRecipientsSuppressed"
    world.state.messages.accept(mail)
    return mail


def find(world: World, operation_id: str) -> Mail:
    """Return an e-mail by its operation; raises AzureError (404) where there is none."""
    mail = world.state.messages.mails.get(operation_id)
    if mail is None:
        raise not_found(f"Operation '{operation_id}'")
    return mail


def _keep_to_the_rate(world: World) -> None:
    now, behaviour = world.now(), world.behaviour
    limits = ((timedelta(minutes=1), behaviour.emails_per_minute), (timedelta(hours=1), behaviour.emails_per_hour))
    for window, limit in limits:
        recent = [one.accepted_at for one in world.state.messages.mails.values() if one.accepted_at > now - window]
        if len(recent) >= limit:
            wait = math.ceil((min(recent, default=now) + window - now).total_seconds())
            raise too_many(f"The resource may send {limit} e-mails in {window}.", max(1, wait))
