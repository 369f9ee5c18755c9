"""The controls of messages: what people and carriers do, and the truth about what was sent."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ehr_sandbox.acs.messages.model import PlannedCode
from ehr_sandbox.acs.messages.texting import receive
from ehr_sandbox.acs.world import World


class InboundText(BaseModel):
    """A text that a person sends."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from")
    to: str
    message: str


class PlannedCodes(BaseModel):
    """A delivery code for the next texts."""

    model_config = ConfigDict(extra="forbid")

    code: int = Field(ge=2000, le=9999)
    count: int = Field(default=1, ge=1)
    to: str | None = Field(default=None, description="Only texts to this number.")


class MessageChange(BaseModel):
    """Something that carriers and people do. Phone numbers are in E.164."""

    model_config = ConfigDict(extra="forbid")

    verify: list[str] = Field(default_factory=list[str], description="These toll-free numbers are verified.")
    unverify: list[str] = Field(default_factory=list[str], description="These are not, or not any more.")
    inbound: list[InboundText] = Field(default_factory=list[InboundText], description="People send these.")
    codes: list[PlannedCodes] = Field(default_factory=list[PlannedCodes], description="Fates of the next texts.")
    fail_emails: int = Field(default=0, ge=0, description="How many of the next e-mails fail.")


def change_messages(world: World, change: MessageChange) -> None:
    """Let something happen."""
    messages = world.state.messages
    messages.verified = (messages.verified | set(change.verify)) - set(change.unverify)
    messages.unverified = (messages.unverified | set(change.unverify)) - set(change.verify)
    for planned in change.codes:
        messages.planned.extend(PlannedCode(code=planned.code, to=planned.to) for _ in range(planned.count))
    messages.planned_mail_failures += change.fail_emails
    for text in change.inbound:
        receive(world, text.sender, text.to, text.message)


def message_ledger(world: World) -> dict[str, Any]:
    """Return every message that was accepted, in order."""
    messages = world.state.messages
    return {
        "texts": [
            {
                "messageId": text.id,
                "from": text.sender,
                "to": text.to,
                "message": text.text,
                "segments": text.segments,
                "status": text.status,
                "code": text.code if text.ended else None,
                "time": text.accepted_at.isoformat(),
            }
            for text in messages.texts.values()
        ],
        "emails": [
            {
                "operationId": mail.id,
                "from": mail.sender,
                "to": mail.to,
                "subject": mail.subject,
                "status": mail.status,
                "time": mail.accepted_at.isoformat(),
            }
            for mail in messages.mails.values()
        ],
    }
