"""Settings of the operator."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FilePath, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from ehr_program.logs import Level
from ehr_program.settings import CommaSeparated


class Settings(BaseSettings):
    """What differs from one installation to another; everything about an organisation stands in its resources."""

    model_config = SettingsConfigDict(env_prefix="EHR_OPERATOR_", extra="ignore", frozen=True)

    control_token_file: Path = Field(
        default=Path("/var/run/secrets/ehr-connector/token"),
        description="File with the projected service-account token that is shown to the connector. It is read anew for"
        " each request, since the kubelet renews it.",
    )
    acs_credential: Annotated[str, StringConstraints(pattern="^(workload-identity|file:.+)$")] = Field(
        default="workload-identity",
        description="How the operator proves itself to Azure Communication Services: workload-identity (no secret), or"
        " file:PATH with an access key.",
    )
    trusted_urls: CommaSeparated[Annotated[str, StringConstraints(pattern="^https://")]] = Field(
        default=(),
        description="Addresses that may be sent the operator's credentials, besides Azure's own: the connector's control"
        " URL, for example https://ehr-connector.ehr-system.svc:8443. Several are separated by commas.",
    )
    allowed_networks: CommaSeparated[IPv4Network | IPv6Network] = Field(
        default=(),
        description="Networks that are not public but may hold FHIR servers, for example 10.20.0.0/16. All other private,"
        " loopback and link-local addresses are refused.",
    )
    ca_file: FilePath | None = Field(
        default=None, description="PEM file with certificate authorities to trust besides the system's."
    )
    purchasing: Literal["enabled", "disabled"] = Field(
        default="enabled", description="disabled: no phone number is reserved or bought; everything else goes on."
    )
    leader_election: Literal["enabled", "disabled"] = Field(
        default="enabled",
        description="enabled: of several operators one acts, the others stand by. disabled: only where a second one can"
        " never run beside this one.",
    )
    namespace: Annotated[str, StringConstraints(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)] | None = (
        Field(
            default=None,
            description="Namespace of the Lease ehr-operator, over which the leader is elected. Without it: the pod's own,"
            " or ehr-system outside a cluster.",
        )
    )
    identity: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Name under which the Lease is held. A process takes over at once from one that had the same name, so"
        " no two that run at the same time may have it. Without it: the host name, which in a cluster is the pod's;"
        " outside a cluster with a random part.",
    )
    purchases_per_namespace_and_day: int = Field(
        default=3, ge=0, description="Phone numbers that may be bought in one namespace within a day."
    )
    purchases_per_hour: int = Field(
        default=5, ge=0, description="Phone numbers that this operator may buy within an hour, in all namespaces."
    )
    relist_seconds: float = Field(
        default=600.0, ge=10.0, description="Seconds between two full lists, which find what a watch has missed."
    )
    host: str = Field(default="0.0.0.0", description="Address of the health and metrics server.")  # noqa: S104 (a pod's)
    port: int = Field(default=8080, ge=1, le=65535, description="Port of the health and metrics server.")
    log_level: Level = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
