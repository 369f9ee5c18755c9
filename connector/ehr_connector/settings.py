"""Settings of the connector."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, DirectoryPath, Field, FilePath, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ehr_api.v1alpha1.ehr_connector_config import DataGeography
from ehr_clients.entra.credentials import credential
from ehr_program.logs import Level
from ehr_program.settings import CommaSeparated

_SQLITE = "sqlite+aiosqlite://"
_POSTGRESQL = "postgresql+psycopg://"
_DatabaseUrl = Annotated[str, StringConstraints(pattern=rf"^({_SQLITE}|{_POSTGRESQL})".replace("+", "[+]"))]

_HttpsUrl = Annotated[str, StringConstraints(pattern="^https://[^/].*[^/]$")]


def _is_credential(value: str) -> str:
    credential(value)
    return value


class Role(StrEnum):
    """What a process does."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"


class DatabaseSettings(BaseSettings):
    """What the migrations need."""

    model_config = SettingsConfigDict(env_prefix="EHR_CONNECTOR_", extra="ignore", frozen=True)

    database_url: _DatabaseUrl = Field(
        default="sqlite+aiosqlite:///ehr-connector.sqlite3",
        repr=False,
        description="SQLAlchemy URL of the database: sqlite+aiosqlite:///PATH for one process, or"
        " postgresql+psycopg://USER@HOST/DATABASE for replicas.",
    )
    database_credential: Literal["workload-identity"] | None = Field(
        default=None,
        description="workload-identity: each connection to PostgreSQL presents a token of the pod's identity as its password,"
        " as Azure's with Entra authentication wants it. Without it the URL says the password, if there is one.",
    )
    entra_authority: _HttpsUrl = Field(
        default="https://login.microsoftonline.com",
        description="Microsoft Entra ID, without a tenant; sovereign clouds have addresses of their own.",
    )
    entra_instance_discovery: bool = Field(
        default=True,
        description="Whether the authority is looked up with Microsoft before it is trusted. false only for an authority"
        " that Microsoft does not know.",
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file with authorities to trust, besides the system's: of FHIR servers, and of the addresses of"
        " Microsoft Graph and Entra ID.",
    )
    log_level: Level = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @model_validator(mode="after")
    def _token_goes_to_postgresql(self) -> Self:
        if self.database_credential is not None and not self.database_url.startswith(_POSTGRESQL):
            raise ValueError("EHR_CONNECTOR_DATABASE_CREDENTIAL is for a database of PostgreSQL")
        return self


class Settings(DatabaseSettings):
    """What differs from one installation to another; everything about an organisation comes from the operator."""

    geography: DataGeography = Field(
        description="Where this connector keeps data: Americas, Europe or AsiaPacific. It refuses the configuration of an"
        " organisation of another geography."
    )
    keys_dir: DirectoryPath = Field(
        description="Folder with the keys: to sign, to seal, and for Microsoft Graph's notifications, one a file;"
        " `python -m ehr_connector new-key DIR` makes one of each kind."
    )
    control_issuer: Annotated[str, StringConstraints(pattern="^https://")] = Field(
        description="Issuer of the service-account tokens of the cluster where the operator runs; its JWKS is found by"
        " OpenID Connect discovery."
    )
    control_jwks_url: Annotated[str, StringConstraints(pattern="^https://")] | None = Field(
        default=None,
        description="Where the issuer's keys are, for a cluster whose issuer has an address that is known only inside it."
        " Usually OpenID Connect discovery tells.",
    )
    control_audience: str = Field(
        default="ehr-connector", min_length=1, description="Audience that the operator's token must have."
    )
    control_subject: str = Field(
        default="system:serviceaccount:ehr-system:ehr-operator",
        min_length=1,
        description="Subject that the operator's token must have.",
    )
    control_ca_file: FilePath | None = Field(
        default=None, description="PEM file with the authority of the issuer's server, besides the system's."
    )
    allowed_networks: CommaSeparated[IPv4Network | IPv6Network] = Field(
        default=(),
        description="Networks that are not public but may hold FHIR servers, for example 10.20.0.0/16. All other private,"
        " loopback and link-local addresses are refused.",
    )
    graph_url: _HttpsUrl = Field(
        default="https://graph.microsoft.com",
        description="Microsoft Graph; sovereign clouds have addresses of their own.",
    )
    graph_credential: Annotated[str, AfterValidator(_is_credential)] | None = Field(
        default=None,
        description="What the connector proves itself with to Entra ID: federated-token:PATH (a projected service-account"
        " token), client-secret:PATH or certificate:PATH (PEM, key and certificate). The file is read anew whenever a"
        " token is needed. Without it no online meeting is held, and GraphAuthorized says so.",
    )
    acs_credential: Annotated[str, StringConstraints(pattern="^(workload-identity|file:.+)$")] | None = Field(
        default=None,
        description="How the connector proves itself to Azure Communication Services: workload-identity (no secret), or"
        " file:PATH with an access key. Without it no text and no e-mail is sent.",
    )
    events_queue_url: (
        Annotated[str, StringConstraints(pattern="^(https://|http://(127[.]0[.]0[.]1|localhost)[:/])")] | None
    ) = Field(
        default=None,
        repr=False,
        description="Storage queue into which Event Grid puts delivery reports and the texts that patients send, read by"
        " workers: https://ACCOUNT.queue.core.windows.net/QUEUE, for the pod's workload identity; or with a shared access"
        " signature as its query. Without it nobody learns whether texts arrive, and STOP holds by the carrier alone.",
    )
    trusted_urls: CommaSeparated[Annotated[str, StringConstraints(pattern="^https://")]] = Field(
        default=(),
        description="Addresses of Communication Services that may be sent the credential, besides Azure's own.",
    )
    test_recipients_dir: DirectoryPath | None = Field(
        default=None,
        description="Folder with the only recipients that Test endpoints may write to: a file {namespace}/{name} for each"
        " organisation, mounted from its Secret, with a phone number in E.164 or an e-mail address a line. Without it"
        " Test endpoints write to nobody.",
    )
    notification_token_issuer: Annotated[str, StringConstraints(pattern="^https://.*[{]tenant[}]")] = Field(
        default="https://sts.windows.net/{tenant}/",
        description="Issuer of the tokens that come with Microsoft Graph's notifications; {tenant} is replaced.",
    )
    teams_origins: CommaSeparated[str] = Field(
        default=(
            "https://teams.microsoft.com",
            "https://*.teams.microsoft.com",
            "https://teams.cloud.microsoft",
            "https://teams.live.com",
        ),
        description="Origins to which the buttons into a meeting may lead; sovereign clouds have others.",
    )
    appointment_interval: float = Field(
        default=45.0,
        ge=1,
        le=3600,
        description="Seconds between two readings of an endpoint's coming appointments.",
    )
    role: Role = Field(
        default=Role.ALL,
        description="What this process does: all; web (serves pages and the control API); worker (reads coming visits,"
        " writes into the EHR, keeps subscriptions). Processes of both roles share one PostgreSQL database.",
    )
    host: str = Field(default="0.0.0.0", description="Address to serve on.")  # noqa: S104 (a pod's)
    port: int = Field(default=8443, ge=1, le=65535, description="Port to serve on.")
    trusted_proxies: CommaSeparated[str] = Field(
        default=("127.0.0.1",),
        description="Addresses or networks of the ingress, whose X-Forwarded-For says where a request comes from; refused"
        " requests are limited by that address.",
    )
    tls_cert_file: FilePath | None = Field(
        default=None,
        description="PEM certificate chain. Without it plain HTTP is served, for an ingress that ends TLS.",
    )
    tls_key_file: FilePath | None = Field(default=None, description="PEM key of the certificate.")

    @model_validator(mode="after")
    def _certificate_has_key(self) -> Settings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("EHR_CONNECTOR_TLS_CERT_FILE and EHR_CONNECTOR_TLS_KEY_FILE go together")
        return self
