"""What every part of the simulator shares: settings, the world, the signing key, the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ehr_sandbox.graph.settings import Behaviour, GraphSettings
from ehr_sandbox.graph.signing import Signer
from ehr_sandbox.graph.world import Tenant, World


@dataclass
class Platform:
    """Microsoft's cloud, as far as it exists here."""

    settings: GraphSettings
    world: World
    behaviour: Behaviour = field(init=False)
    signer: Signer = field(init=False)

    def __post_init__(self) -> None:
        """Make a signing key of its own."""
        self.behaviour = self.settings.behaviour
        self.signer = Signer(self.settings)

    def now(self) -> datetime:
        """Return the time."""
        return self.settings.now()

    def tenant(self, tenant_id: str) -> Tenant | None:
        """Return a tenant as the world has it now."""
        return self.world.tenant(tenant_id)
