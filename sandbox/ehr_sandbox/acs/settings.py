"""How the simulator behaves."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Behaviour(BaseModel):
    """What may be changed while it runs, by `PATCH /_sandbox/settings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation_seconds: float = Field(default=2.0, ge=0, description="How long each long-running operation takes.")
    listing_delay_s: float = Field(
        default=0.0,
        ge=0,
        description="Seconds from a purchase until the number is listed; minutes in the real service.",
    )
    purchase_quota: int = Field(default=1, ge=0, description="Numbers that the tenant may own.")
    search_quota: int = Field(default=5, ge=0, description="Searches that the tenant may make in seven days.")
    browse_size: int = Field(default=10, ge=1, description="Most numbers that one browse returns.")
    delivery_seconds: float = Field(default=1.0, ge=0, description="How long a text or an e-mail is on its way.")
    texts_per_minute: int = Field(default=200, ge=1, description="Texts that a toll-free number may send a minute.")
    emails_per_minute: int = Field(default=30, ge=1, description="E-mails that the resource may send a minute.")
    emails_per_hour: int = Field(default=100, ge=1, description="And an hour.")
    hold_events: bool = Field(default=False, description="Whether events wait, to reach the queue late.")
    reverse_events: bool = Field(default=False, description="Whether the newest of the waiting events comes first.")
    event_copies: int = Field(default=1, ge=1, description="How often each event reaches the queue.")
    verified_at_once: bool = Field(
        default=False,
        description="Whether toll-free numbers count as verified without being named; in the real service that takes weeks.",
    )
    repeatability_window_s: float = Field(
        default=86400.0, ge=0, description="How old a first-sent time may be for its repeatability id to be taken."
    )


def example_access_key() -> str:
    """Return the access key that is used when none is set: made up, known to all, the same every time."""
    return base64.b64encode(hashlib.sha512(b"ehr_sandbox acs access key").digest()).decode()


@dataclass(frozen=True)
class AcsSettings:
    """Who may call, what is in stock, and how the service behaves."""

    access_key: str = field(default_factory=example_access_key, repr=False)
    """Base64, as the portal shows it."""
    accepted_tokens: frozenset[str] = field(default=frozenset(), repr=False)
    """Bearer tokens that are let in. They are compared as text: this simulator asks no Entra."""
    accept_any_bearer: bool = False
    """Let in whoever shows a bearer token that is not empty, instead."""
    seed: int = 1
    numbers_per_area: int = 20
    behaviour: Behaviour = field(default_factory=Behaviour)
    email_domains: frozenset[str] = frozenset({"lamna.example"})
    """Domains that are linked to the resource: senders of e-mail are of one of these."""
    queue_url: str | None = field(default=None, repr=False)
    """Storage queue that gets the events, with its shared access signature; its key would be a secret of another system."""
    state_file: Path | None = None
    """JSON; written after every change and read at the start, so that a restart forgets nothing."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        """Raises ValueError when the access key is not base64, or empty."""
        try:
            key = base64.b64decode(self.access_key, validate=True)
        except ValueError as exc:
            raise ValueError("the access key must be base64") from exc
        if not key:
            raise ValueError("the access key must not be empty")
