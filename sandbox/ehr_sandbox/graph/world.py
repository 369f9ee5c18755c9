"""Who and what exists: tenants with their applications and users. The body of `PUT /_sandbox/world`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from ehr_sandbox.graph.licenses import SKUS


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class FederatedCredential(_Model):
    """Whose tokens stand for an application's own assertion: a Kubernetes service account's, for example."""

    issuer: str
    subject: str
    audiences: list[str] = ["api://AzureADTokenExchange"]
    jwks_url: str | None = Field(default=None, description="When not given, the issuer's discovery document names it.")
    jwks: dict[str, Any] | None = Field(default=None, description="The issuer's keys themselves: nothing is fetched.")


class App(_Model):
    """An application registration with its service principal."""

    client_id: str
    display_name: str = "Application"
    secrets: list[str] = Field(default_factory=list[str])
    certificates: list[str] = Field(default_factory=list[str], description="PEM.")
    jwks: dict[str, Any] | None = Field(default=None, description="Public keys, for who has no certificate.")
    federated_credentials: list[FederatedCredential] = Field(default_factory=list[FederatedCredential])
    redirect_uris: list[str] = Field(default_factory=list[str])
    app_roles: list[str] = Field(default_factory=list[str], description="Graph's application permissions, consented.")
    assigned_roles: dict[str, list[str]] = Field(
        default_factory=dict[str, list[str]],
        description="The application's own app roles, by the object id of the user who has them.",
    )

    @field_validator("client_id")
    @classmethod
    def _is_guid(cls, value: str) -> str:
        return _guid(value)

    @field_validator("certificates")
    @classmethod
    def _are_certificates(cls, value: list[str]) -> list[str]:
        for pem in value:
            if not isinstance(x509.load_pem_x509_certificate(pem.encode()).public_key(), RSAPublicKey):
                raise ValueError("must have an RSA key")  # noqa: TRY004  # pydantic wants a ValueError
        return value


class User(_Model):
    """A user of a tenant."""

    id: str
    user_principal_name: str
    display_name: str
    account_enabled: bool = True
    licenses: list[str] = Field(default=["SPE_E3"], description="By skuPartNumber.")
    disabled_plans: list[str] = Field(default_factory=list[str], description="Service plans taken out of the licenses.")
    in_application_access_policy: bool = Field(
        default=True, description="Whether applications may act on this user's meetings."
    )

    @field_validator("id")
    @classmethod
    def _is_guid(cls, value: str) -> str:
        return _guid(value)

    @field_validator("licenses")
    @classmethod
    def _licenses_exist(cls, value: list[str]) -> list[str]:
        if unknown := [name for name in value if name not in SKUS]:
            raise ValueError(f"no such license: {', '.join(unknown)}; known are: {', '.join(SKUS)}")
        return value


class Tenant(_Model):
    """An organisation."""

    id: str
    domain: str = "lamna.example"
    apps: list[App] = Field(default_factory=list[App])
    users: list[User] = Field(default_factory=list[User])

    @field_validator("id")
    @classmethod
    def _is_guid(cls, value: str) -> str:
        return _guid(value)

    def app(self, client_id: str) -> App | None:
        """Return the application of that id."""
        return next((app for app in self.apps if app.client_id == client_id.lower()), None)

    def user(self, id_or_name: str) -> User | None:
        """Return the user of that object id or user principal name."""
        wanted = id_or_name.lower()
        return next((user for user in self.users if wanted in (user.id, user.user_principal_name.lower())), None)


class World(_Model):
    """Everything that exists."""

    tenants: list[Tenant] = Field(default_factory=list[Tenant])

    def tenant(self, id_or_domain: str) -> Tenant | None:
        """Return the tenant of that id or domain."""
        wanted = id_or_domain.lower()
        return next((tenant for tenant in self.tenants if wanted in (tenant.id, tenant.domain.lower())), None)


EXAMPLE_TENANT = "72f988bf-0000-4000-8000-000000000001"
EXAMPLE_CLIENT = "0a1b2c3d-0000-4000-8000-000000000002"
EXAMPLE_SECRET = "made-up~secret.of-the-sandbox"
EXAMPLE_ORGANIZER = "5e0f3a10-0000-4000-8000-000000000010"
EXAMPLE_CLINICIAN = "5e0f3a10-0000-4000-8000-000000000011"
EXAMPLE_MANAGER = "5e0f3a10-0000-4000-8000-000000000013"
EXAMPLE_AUDITOR = "5e0f3a10-0000-4000-8000-000000000014"
CONNECTOR_ROLES = [
    "CallRecords.Read.All",
    "OnlineMeetingArtifact.Read.All",
    "OnlineMeetings.ReadWrite.All",
    "User.Read.All",
    "VirtualAppointment.Read.All",
]
"""What the connector's application is granted."""


def example_world(*, redirect_uris: list[str] | None = None) -> World:
    """Return one tenant with the connector's application, and those who organize meetings, see patients and read reports."""
    app = App(
        client_id=EXAMPLE_CLIENT,
        display_name="Teams EHR connector",
        secrets=[EXAMPLE_SECRET],
        redirect_uris=redirect_uris or [],
        app_roles=CONNECTOR_ROLES,
        assigned_roles={EXAMPLE_MANAGER: ["Reports.Viewer"], EXAMPLE_AUDITOR: ["Reports.Auditor"]},
    )
    people = [
        (EXAMPLE_ORGANIZER, "virtual.visits", "Virtual Visits"),
        (EXAMPLE_CLINICIAN, "ada.okafor", "Ada Okafor"),
        ("5e0f3a10-0000-4000-8000-000000000012", "ben.lindqvist", "Ben Lindqvist"),
        (EXAMPLE_MANAGER, "cleo.martin", "Cleo Martin"),
        (EXAMPLE_AUDITOR, "dara.singh", "Dara Singh"),
    ]
    users = [
        User(id=object_id, user_principal_name=f"{name}@lamna.example", display_name=shown)
        for object_id, name, shown in people
    ]
    return World(tenants=[Tenant(id=EXAMPLE_TENANT, apps=[app], users=users)])


def _guid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError as exc:
        raise ValueError("must be a GUID") from exc
