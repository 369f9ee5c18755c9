"""Addresses and files of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
OVERLAY = REPOSITORY / "deploy/overlays/local"
BASE = REPOSITORY / "deploy/base"
CRDS = REPOSITORY / "crds"

NAMESPACE = "lamna"
ORGANIZATION = "lamna"
PATIENT_PHONE = "+12145550142"
"""Of the patient of the played visit; nobody's, as all numbers 555-01xx."""
TEST_TENANT = "5f3c2a10-0000-4000-8000-000000000001"
PRODUCTION_TENANT = "5f3c2a10-0000-4000-8000-000000000002"
SYSTEM_CLIENT = "lamna-system"
FIRST_PORT = 28443
"""The overlay `local` is written for this port and the four after it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one run is. Two names for loopback make the EHR and the connector two different sites."""

    work: Path
    first_port: int = FIRST_PORT
    way_to_control: str | None = None
    """Address by which the operator reaches the connector, where something stands before it."""

    @property
    def cerner_port(self) -> int:
        """The stand-in for the EHR."""
        return self.first_port

    @property
    def acs_port(self) -> int:
        """The stand-in for Communication Services."""
        return self.first_port + 1

    @property
    def connector_port(self) -> int:
        """The connector."""
        return self.first_port + 2

    @property
    def operator_port(self) -> int:
        """Health and metrics of the operator."""
        return self.first_port + 3

    @property
    def graph_port(self) -> int:
        """The stand-in for Entra ID, Microsoft Graph and Teams."""
        return self.first_port + 4

    @property
    def cerner_url(self) -> str:
        """Address of the stand-in for the EHR."""
        return f"https://127.0.0.1:{self.cerner_port}"

    @property
    def acs_url(self) -> str:
        """Address of the stand-in for Communication Services."""
        return f"https://127.0.0.1:{self.acs_port}"

    @property
    def graph_url(self) -> str:
        """Address of the stand-in for Entra ID, Microsoft Graph and Teams."""
        return f"https://127.0.0.1:{self.graph_port}"

    @property
    def connector_url(self) -> str:
        """Address of the connector."""
        return f"https://localhost:{self.connector_port}"

    @property
    def control_url(self) -> str:
        """Address of the connector as the operator is told it."""
        return self.way_to_control or self.connector_url

    @property
    def operator_url(self) -> str:
        """Address of the operator's health server."""
        return f"http://127.0.0.1:{self.operator_port}"

    @property
    def access_key_file(self) -> Path:
        """The access key of the stand-in for Communication Services."""
        return self.work / "acs-access-key"

    @property
    def graph_secret_file(self) -> Path:
        """The secret of the connector's application at the stand-in for Entra ID."""
        return self.work / "graph-secret"

    @property
    def test_recipients(self) -> Path:
        """The only recipients of Test endpoints: a file for each organisation, as a mounted Secret has it."""
        return self.work / "test-recipients"

    @property
    def control_token_file(self) -> Path:
        """The operator's token for the connector, renewed as a kubelet renews a projected token."""
        return self.work / "control-token"

    @property
    def api_token_file(self) -> Path:
        """The operator's token for the API server, renewed likewise."""
        return self.work / "api-token"

    @property
    def operator_kubeconfig(self) -> Path:
        """The operator's own kubeconfig."""
        return self.work / "operator.kubeconfig"

    @property
    def keys(self) -> Path:
        """The connector's signing keys."""
        return self.work / "keys"

    def log(self, name: str) -> Path:
        """Where a program writes."""
        return self.work / f"{name}.log"
