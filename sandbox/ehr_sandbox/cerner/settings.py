"""How the simulator behaves. The options of `python -m ehr_sandbox cerner` set the same, but for the lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

SANDBOX_TENANT = "ec2458f2-1e24-41c8-b71b-0e701af7583d"
"""The tenant of Cerner's public sandbox, used when none is given."""


@dataclass(frozen=True)
class AppRegistration:
    """An app that clinicians may launch."""

    id: str
    redirect_uris: tuple[str, ...]
    jwks_url: str | None = None
    """Where it publishes its public keys; a public client has none."""


@dataclass(frozen=True)
class CernerSettings:
    """Which tenants and clients exist, what is in the population, and how slow the server is."""

    tenants: frozenset[str] = frozenset({SANDBOX_TENANT})
    any_tenant: bool = False
    """Every tenant that is a GUID exists."""
    client_jwks_urls: Mapping[str, str] = field(default_factory=dict[str, str])
    """Clients registered for system access with keys: where each publishes its public keys."""
    client_secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Clients registered for system access with a secret."""
    client_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Scopes of a registration; a client that is not listed is registered for all that exist."""
    client_ca: Path | None = None
    """PEM file with the authorities that are trusted when keys are fetched, instead of the public ones."""
    apps: tuple[AppRegistration, ...] = ()
    """Apps that clinicians may launch when the program begins; a control replaces them."""
    launch_urls: tuple[tuple[str, str], ...] = ()
    """Name and launch URL of what the PowerChart-like page offers when the program begins; a control replaces them."""
    throttle_refresh: bool = False
    """A refresh token that is used more than once a minute is answered with 429."""
    launch_life_s: int = 600
    """How long a launch is good, however often it is used."""
    code_life_s: int = 60
    """How long an authorization code is good, once."""
    latency_s: float = 0.0
    """Every answer takes that much longer."""
    seed: int = 1
    """The same seed gives the same people and, on a day, the same appointments."""
    token_life_s: int = 570
    """How long access tokens and id_tokens are good."""
    page_life_s: int = 300
    """How long the links to further pages of a search are good."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The clock; the day on which the program begins says which appointments there are."""

    def __post_init__(self) -> None:
        """Raises ValueError when a tenant is not a GUID, or a time is negative."""
        for tenant in self.tenants:
            if not _is_guid(tenant):
                raise ValueError(f"the tenant '{tenant}' must be a GUID in lower case")
        if self.latency_s < 0:
            raise ValueError("the latency must not be negative")

    def has_tenant(self, tenant: str) -> bool:
        """Tell whether a tenant exists."""
        return tenant in self.tenants or (self.any_tenant and _is_guid(tenant))


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
