"""The vendor's clients for messages, and a plain one that says what they cannot."""

from __future__ import annotations

import uuid
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import httpx
from azure.communication.email.aio import EmailClient
from azure.communication.sms.aio import SmsClient
from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.policies import AsyncRetryPolicy
from contract.acs_stand_in.running import TOKEN, AcsStandIn

SENDER = "+18005550100"
PATIENT = "+14255550123"
NEWEST = {"api-version": "2026-01-23"}


async def ready(acs: AcsStandIn) -> None:
    """Let the resource own a number that is verified."""
    await acs.control("POST", "state", {"own": [SENDER]})
    await acs.control("POST", "messages", {"verify": [SENDER]})


def sms_client(acs: AcsStandIn) -> SmsClient:
    """Return the vendor's client; it repeats nothing by itself."""
    return SmsClient(acs.url, AzureKeyCredential(acs.settings.access_key), retry_policy=AsyncRetryPolicy.no_retries())


def email_client(acs: AcsStandIn) -> EmailClient:
    """Return the vendor's client; it repeats nothing by itself."""
    credential = AzureKeyCredential(acs.settings.access_key)
    return EmailClient(acs.url, credential, retry_policy=AsyncRetryPolicy.no_retries(), polling_interval=0)


def plain(acs: AcsStandIn) -> httpx.AsyncClient:
    """Return a client that sends what it is told."""
    return httpx.AsyncClient(base_url=acs.url, params=NEWEST, headers={"Authorization": f"Bearer {TOKEN}"})


def body(
    message: str = "Your visit", *, request_id: str | None = None, first_sent: datetime | None = None, **options: Any
) -> dict[str, Any]:
    """Return the body of a send to the patient."""
    recipient: dict[str, Any] = {"to": PATIENT}
    if first_sent is not None:
        recipient["repeatabilityRequestId"] = request_id or str(uuid.uuid4())
        recipient["repeatabilityFirstSent"] = format_datetime(first_sent, usegmt=True)
    return {
        "from": SENDER,
        "smsRecipients": [recipient],
        "message": message,
        "smsSendOptions": {"enableDeliveryReport": True, **options},
    }


async def texts(acs: AcsStandIn) -> list[dict[str, Any]]:
    """Return the truth about texts."""
    return (await acs.ledger())["texts"]


async def events(acs: AcsStandIn) -> list[dict[str, Any]]:
    """Return the events so far."""
    return (await acs.control("GET", "events"))["events"]
