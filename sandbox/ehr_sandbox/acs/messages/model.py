"""What the simulated service keeps of messages: texts, e-mail, opt-outs, events, and what was planned to fail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr

OK = 2000
UNSUPPORTED_DESTINATION = 4003
OPTED_OUT = 4007
NOT_VERIFIED = 4010

DETAILS = {
    OK: "No Error",
    4000: "Message is blocked due to fraud",
    4001: "Message is blocked due to invalid From number",
    4002: "Message is blocked due to invalid To number",
    UNSUPPORTED_DESTINATION: "Message is blocked due to unsupported destination",
    4004: "Message is blocked, the To number does not exist",
    4005: "Message is blocked by the destination carrier",
    4006: "Destination number is unreachable",
    OPTED_OUT: "Sender blocked for given recipient.",
    4008: "Message is over the quota",
    NOT_VERIFIED: "Message is blocked, the toll-free number is not verified",
    5000: "Message failed to deliver because of an unexpected internal server error",
    5001: "Message failed to deliver because of a temporary unavailable of an application or system",
    5002: "Delivery timed out",
    9999: "Message failed to deliver because of an unknown error",
}
"""Delivery codes. Source: Communication Services, "Troubleshooting" and the SMS FAQ."""


class Text(BaseModel):
    """A text that was accepted: it counts and costs, whether it arrives or not."""

    id: str
    sender: str
    to: str
    text: str
    segments: int
    tag: str | None = None
    report: bool = False
    accepted_at: datetime
    due_at: datetime
    """When its fate is known."""
    code: int = OK
    """What its fate is going to be."""
    ended: bool = False
    repeatability_id: str | None = None

    @property
    def status(self) -> Literal["Accepted", "Delivered", "Failed"]:
        """How far it is."""
        if not self.ended:
            return "Accepted"
        return "Delivered" if self.code == OK else "Failed"

    @property
    def details(self) -> str:
        """The code with its words, as a delivery report has them."""
        return f"{self.code}: {DETAILS.get(self.code, 'Unknown Error')}"


class Received(BaseModel):
    """A text that came to a phone from elsewhere (the carrier), or that a person sent from one."""

    sender: str
    to: str
    text: str
    at: datetime


class Repetition(BaseModel):
    """What was answered to a repeatability id, to be answered again."""

    fingerprint: str
    """Digest of the request: another request under the same id is refused."""
    first_sent: datetime | None
    answer: dict[str, Any]


class Mail(BaseModel):
    """An e-mail that was accepted; its id is that of the operation."""

    id: str
    sender: str
    to: list[str]
    subject: str
    text: str
    reply_to: list[str] = Field(default_factory=list[str])
    accepted_at: datetime
    due_at: datetime
    failure: str | None = None
    ended: bool = False

    @property
    def status(self) -> Literal["Running", "Succeeded", "Failed"]:
        """The state of the operation."""
        if not self.ended:
            return "Running"
        return "Failed" if self.failure else "Succeeded"


class PlannedCode(BaseModel):
    """A delivery code that the next text gets, or the next to one number."""

    code: int
    to: str | None = None


class MessageState(BaseModel):
    """All that the service knows of messages."""

    texts: dict[str, Text] = Field(default_factory=dict[str, Text])
    received: list[Received] = Field(default_factory=list[Received])
    repetitions: dict[str, Repetition] = Field(default_factory=dict[str, Repetition])
    opted_out: set[tuple[str, str]] = Field(default_factory=set[tuple[str, str]])
    """Sender and recipient."""
    verified: set[str] = Field(default_factory=set[str])
    unverified: set[str] = Field(default_factory=set[str])
    mails: dict[str, Mail] = Field(default_factory=dict[str, Mail])
    events: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    """In the shape that Event Grid delivers, the oldest first."""
    queued: int = 0
    """How many of them the Storage queue has."""
    planned: list[PlannedCode] = Field(default_factory=list[PlannedCode])
    planned_mail_failures: int = 0
    _under_way: dict[str, Text | Mail] = PrivateAttr(default_factory=dict[str, Text | Mail])
    """Those whose fate is not known yet, in order: a look at them all would grow with what was ever sent."""

    def model_post_init(self, _context: Any, /) -> None:
        """Find what was under way when the state was saved."""
        self._under_way = {one.id: one for one in (*self.texts.values(), *self.mails.values()) if not one.ended}

    def accept(self, message: Text | Mail) -> None:
        """Take a message that is under way from now on."""
        if isinstance(message, Text):
            self.texts[message.id] = message
        else:
            self.mails[message.id] = message
        self._under_way[message.id] = message

    def end_due(self, now: datetime) -> Sequence[Text | Mail]:
        """End the messages whose time has come, and return them in the order in which it came."""
        due = sorted((one for one in self._under_way.values() if one.due_at <= now), key=lambda one: one.due_at)
        for one in due:
            one.ended = True
            del self._under_way[one.id]
        return due
