"""How the simulator behaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_FOUR_HOURS_S = 4 * 3600


class Behaviour(BaseModel):
    """What may be changed while it runs, by `PATCH /_sandbox/settings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_life_s: int = Field(default=3599, ge=1, description="How long an access token is good.")
    code_life_s: int = Field(default=600, ge=1, description="How long an authorization code is good.")
    meetings_a_month: int = Field(default=2000, ge=0, description="Meetings that one organizer may make in a month.")
    virtual_appointment_for_applications: bool = Field(
        default=True,
        description="Whether an application may ask for a virtual appointment's join URL: Microsoft's pages disagree.",
    )
    guest_identity: Literal["guest", "azureCommunicationServicesUser", "acsUser"] = Field(
        default="guest", description="Under which name a roster shows those who did not sign in."
    )
    validate_within_s: float = Field(
        default=10.0, gt=0, description="Time that a notification URL gets to prove itself."
    )
    answer_within_s: float = Field(default=3.0, gt=0, description="Time that it gets to take a notification.")
    resend_after_s: list[float] = Field(
        default=[1.0, 5.0, 10.0, 30.0, 60.0],
        min_length=1,
        description="Pauses before a notification is sent again; the last one repeats.",
    )
    give_up_after_s: float = Field(default=_FOUR_HOURS_S, ge=0, description="A notification is resent this long.")
    reauthorize_before_s: float = Field(
        default=0.0, ge=0, description="Ask for reauthorization that long before a subscription ends; 0 for never."
    )
    drop: int = Field(default=0, ge=0, description="That many of the next notifications are never sent.")
    duplicate: int = Field(default=0, ge=0, description="That many of the next notifications are sent twice.")
    reorder: int = Field(default=0, ge=0, description="That many of the next are held, then sent last one first.")
    delay_s: float = Field(default=0.0, ge=0, description="Every notification waits that long first.")
    call_quality: Literal["good", "poor"] = Field(default="good", description="The figures of the next call records.")
    call_record_after_s: float = Field(default=0.0, ge=0, description="From a call's end until its record is there.")


@dataclass(frozen=True)
class GraphSettings:
    """Where the simulator is, whom it trusts, and how it behaves."""

    public_url: str | None = None
    """Address under which others reach it, without a trailing slash; when not given, that of each request."""
    issuer: str = "{url}/{tenant}/v2.0"
    """Issuer of version 2 tokens; `{url}` is the simulator's address, `{tenant}` the tenant's id."""
    issuer_v1: str = "{url}/{tenant}/"
    """Issuer of version 1 tokens, among them those in notifications; Microsoft's is https://sts.windows.net/{tenant}/."""
    ca_file: Path | None = None
    """PEM file with the authorities that are trusted when notifications are sent and keys are fetched."""
    resources: frozenset[str] = frozenset({"https://communication.azure.com", "https://storage.azure.com"})
    """What tokens may be for, besides Graph."""
    behaviour: Behaviour = field(default_factory=Behaviour)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
