"""The configuration of a stack: one typed model, whose errors name the key and say how to mend it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, Self

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from ehr_infra.addresses import taken
from ehr_infra.geography import TERRITORIES, Geography

PROJECT = "teams-ehr-connector"
"""The name in Pulumi.yaml, before the colon of every key."""

OLDEST_KUBERNETES_MINOR = 34
"""Containers that stop after a `sleep`, and pods that spread within a revision, need it."""

STACK_NAME = re.compile(r"[a-z][a-z0-9]{1,11}")
"""A stack's name is a part of names as short as 24 characters."""


class ConfigError(pulumi.RunError):
    """The stack's configuration cannot be used; the message names every key that is wrong."""


def _is_private(network: IPv4Network) -> IPv4Network:
    if not network.is_private:
        raise ValueError("must be a private network, for example '10.64.0.0/16'")
    if not 16 <= network.prefixlen <= 20:  # noqa: PLR2004 (said in the message)
        raise ValueError("must have a prefix of 16 to 20 bits, which leaves room for the subnets")
    other = taken(network)
    if other is not None:
        raise ValueError(f"must not overlap '{other}', which AKS or the cluster's pods and services have")
    return network


def _is_pinned(reference: str) -> str:
    if "@sha256:" in reference:
        return reference
    _, colon, tag = reference.rpartition("/")[2].partition(":")
    if not colon or tag == "latest":
        raise ValueError(
            "must end in a tag other than 'latest' or, better, a digest ('@sha256:...'), so that it is known what runs"
        )
    return reference


def _is_new_enough(version: str) -> str:
    if int(version.partition(".")[2]) < OLDEST_KUBERNETES_MINOR:
        raise ValueError(
            f"must be '1.{OLDEST_KUBERNETES_MINOR}' or later: the API server of an older one refuses our manifests"
        )
    return version


Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
HostName = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")
]
Image = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9][-a-z0-9.]*\.[a-z]{2,}(:[0-9]+)?(/[a-z0-9][-a-z0-9._]*)+(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?$"
    ),
    AfterValidator(_is_pinned),
]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
KubernetesVersion = Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{2}$"), AfterValidator(_is_new_enough)]
AddressSpace = Annotated[IPv4Network, AfterValidator(_is_private)]
KeyFile = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\.(jwk\.json|names\.json|secret\.json|notification\.pem)$"
    ),
]
VmSize = Annotated[str, StringConstraints(pattern=r"^Standard_[A-Za-z0-9_]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, populate_by_name=True)


class AdminGroup(_Section):
    """The Entra group whose members administer the cluster and the database, in their own names."""

    object_id: Annotated[Guid, Field(alias="objectID")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class NodePool(_Section):
    """A pool of nodes over all zones; the autoscaler stays between the two counts."""

    size: VmSize
    min_count: int = Field(ge=1, le=100)
    max_count: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_count > self.max_count:
            raise ValueError("`minCount` must not be greater than `maxCount`")
        return self


class Database(_Section):
    """The PostgreSQL flexible server."""

    size: VmSize = "Standard_D2ds_v5"
    tier: Literal["Burstable", "GeneralPurpose", "MemoryOptimized"] = "GeneralPurpose"
    storage_gb: Annotated[Literal[32, 64, 128, 256, 512, 1024], Field(alias="storageGB")] = 64
    backup_days: int = Field(default=35, ge=7, le=35)
    zone_redundant: bool = True

    @model_validator(mode="after")
    def _can_be_redundant(self) -> Self:
        if self.zone_redundant and self.tier == "Burstable":
            raise ValueError("`zoneRedundant` must be false when `tier` is 'Burstable': Azure has no stand-by for it")
        return self


class Git(_Section):
    """The repository that Flux follows; it holds `crds/` and `deploy/` of this project, or a fork's."""

    url: Annotated[str, StringConstraints(pattern=r"^(https|ssh)://[^\s@]+(@[^\s@]+)?$")]
    tag: Annotated[str, StringConstraints(min_length=1)] | None = None
    branch: Annotated[str, StringConstraints(min_length=1)] | None = None
    path: Annotated[str, StringConstraints(pattern=r"^\./")] = "./deploy/overlays/azure"

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if (self.tag is None) == (self.branch is None):
            raise ValueError("either `tag` (better for production) or `branch` must be given")
        return self


class Settings(_Section):
    """Everything that one installation decides; what has a default works as it is."""

    geography: Geography = Field(
        description="Where patients' data stays: Americas, Europe or AsiaPacific. Cannot change."
    )
    domain: HostName = Field(description="Host name of the connector's pages, which patients see.")
    tenant_id: Guid = Field(alias="tenantID", description="The Entra tenant of the Azure subscription.")
    admin_group: AdminGroup = Field(
        description="Entra group, `objectID` and `name`, that administers cluster and database."
    )
    operator_image: Image = Field(description="Reference of the operator's image, with a tag or a digest.")
    connector_image: Image = Field(description="Reference of the connector's image, with a tag or a digest.")
    git: Git = Field(
        description="The repository that Flux follows: `url`, and `tag` or `branch`; `path` of the overlay."
    )

    region: str = Field(default="", description="Azure region; by default the first of the geography.")
    data_location: str = Field(
        default="", description="Data location of Communication Services; by default the first of the geography."
    )
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,3}$")] = Field(
        default="ehr", description="Begins the name of every resource; 2 to 4 lower-case letters and digits."
    )
    tags: dict[Tag, Tag] = Field(default_factory=dict[str, str], description="Tags of every resource.")
    address_space: AddressSpace = Field(
        default=IPv4Network("10.64.0.0/16"),
        description="Of the virtual network; it must not overlap those of hospitals.",
    )
    api_server_access: Literal["Private", "AuthorizedRanges"] = Field(
        default="Private",
        description="Private: the Kubernetes API has a private address only. AuthorizedRanges: `authorizedRanges` reach it.",
    )
    authorized_ranges: tuple[IPv4Network, ...] = Field(
        default=(),
        description="Public ranges that may reach the Kubernetes API with `apiServerAccess: AuthorizedRanges`.",
    )
    kubernetes_version: KubernetesVersion | None = Field(
        default=None,
        description="Minor version of Kubernetes, 1.34 or later, of the cluster and its nodes; without it AKS's default, once."
        " AKS takes patches by itself; a new minor version is set here.",
    )
    zones: tuple[Literal["1", "2", "3"], ...] = Field(default=("1", "2", "3"), description="Availability zones to use.")
    system_nodes: NodePool = Field(
        default=NodePool(size="Standard_D2ds_v5", min_count=3, max_count=5), description="For the cluster's own pods."
    )
    work_nodes: NodePool = Field(
        default=NodePool(size="Standard_D2ds_v5", min_count=2, max_count=6), description="For operator and connector."
    )
    database: Database = Field(default=Database(), description="Size, redundancy and backups of PostgreSQL.")
    database_host: HostName | None = Field(
        default=None,
        description="Host name of the PostgreSQL server that the connector uses; only after a restore into another server.",
    )
    registry_ranges: tuple[IPv4Network, ...] = Field(
        default=(), description="Public ranges that may push images to the registry; without any it is private."
    )
    defender: bool = Field(default=True, description="Whether Defender watches the nodes.")
    purchasing: Literal["enabled", "disabled"] = Field(
        default="disabled", description="Whether the operator may buy phone numbers."
    )
    log_retention_days: int = Field(default=90, ge=30, le=730, description="Days that logs are kept.")
    protect: bool = Field(
        default=True,
        description="Whether data and numbers are kept from deletion, by Pulumi and by a lock in Azure. false only where"
        " nothing is lost.",
    )
    alert_emails: tuple[Email, ...] = Field(default=(), description="Who is told of alerts.")
    keys: tuple[KeyFile, ...] = Field(
        default=(),
        description="File names of the connector's keys, as `python -m ehr_connector new-key` makes them; each is a secret of"
        " the vault, under the same name with a hyphen for each dot.",
    )
    git_token: SecretStr | None = Field(
        default=None, description="Token to read a private repository over https; must be set with `--secret`."
    )

    @field_validator("region", mode="after")
    @classmethod
    def _normal(cls, region: str) -> str:
        return region.replace(" ", "").lower()

    @field_validator("zones", mode="after")
    @classmethod
    def _distinct(cls, zones: tuple[str, ...]) -> tuple[str, ...]:
        if not zones or len(set(zones)) != len(zones):
            raise ValueError("must name at least one zone, and each once")
        return zones

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_geography(cls, values: Any) -> Any:
        territory = TERRITORIES.get(values.get("geography"))
        if territory is None:
            return values
        return {"region": territory.regions[0], "dataLocation": territory.data_locations[0], **values}

    @model_validator(mode="after")
    def _inside_geography(self) -> Self:
        territory = TERRITORIES[self.geography]
        for key, value, allowed in (
            ("region", self.region, territory.regions),
            ("dataLocation", self.data_location, territory.data_locations),
        ):
            if value not in allowed:
                raise ValueError(
                    f"`{key}` '{value}' is outside `geography` '{self.geography}'; it must be one of {', '.join(allowed)}"
                )
        return self

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if (self.api_server_access == "AuthorizedRanges") != bool(self.authorized_ranges):
            raise ValueError(
                "`authorizedRanges` must be given with `apiServerAccess` 'AuthorizedRanges', and only then: an empty list"
                " would let the whole internet in"
            )
        if self.database.zone_redundant and len(self.zones) < 2:  # noqa: PLR2004 (a stand-by needs a second zone)
            raise ValueError("`database` with `zoneRedundant` needs at least two `zones`")
        if self.git_token is not None and not self.git.url.startswith("https://"):
            raise ValueError("`gitToken` may not be given when `git.url` is not https")
        return self


_STRINGS = frozenset(
    field.alias or name
    for name, field in Settings.model_fields.items()
    if name in {"domain", "tenant_id", "operator_image", "connector_image", "kubernetes_version", "git_token"}
)
"""Keys whose value is text even where it looks like a number, such as the version 1.30."""


def parse(values: Mapping[str, Any], stack: str, secret_keys: frozenset[str] = frozenset()) -> Settings:
    """The settings of the stack from what `pulumi config` holds: keys with the project's name, values as text or JSON.

    Keys of other projects, such as those of the provider, are left alone. A key that is not known is an error: a
    misspelt one would otherwise leave a default in force.

    Raises:
        ConfigError: With one line for each thing that is wrong.
    """
    prefix = f"{PROJECT}:"
    given = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    problems: list[str] = []
    if not STACK_NAME.fullmatch(stack):
        problems.append(f"- stack '{stack}': must be 2 to 12 lower-case letters and digits, since names are made of it")
    if "gitToken" in given and f"{prefix}gitToken" not in secret_keys:
        problems.append(
            f"- `{prefix}gitToken`: must be encrypted; set it with: pulumi config set --secret gitToken ..."
        )
    try:
        settings = Settings.model_validate({key: _value(key, text) for key, text in given.items()})
    except ValidationError as error:
        problems.extend(_line(detail) for detail in error.errors(include_url=False, include_input=False))
        raise ConfigError(_message(stack, problems)) from None
    if problems:
        raise ConfigError(_message(stack, problems))
    return settings


def _value(key: str, text: Any) -> Any:
    """Lists and objects are JSON in Pulumi; everything else is text, which pydantic converts."""
    if isinstance(text, str) and key not in _STRINGS and text[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _line(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "missing":
            key = detail["loc"][0] if detail["loc"] else where
            setting = next((f for n, f in Settings.model_fields.items() if (f.alias or n) == key), None)
            hint = f" ({setting.description})" if setting else ""
            return f"- `{PROJECT}:{where}` must be set{hint}"
        case "extra_forbidden":
            known = ", ".join(sorted(field.alias or name for name, field in Settings.model_fields.items()))
            return f"- `{PROJECT}:{where}` is not known" + (f"; known are {known}" if len(detail["loc"]) == 1 else "")
        case _:
            message = detail["msg"].removeprefix("Value error, ")
            return f"- `{PROJECT}:{where}`: {message}" if where else f"- {message}"


def _message(stack: str, problems: list[str]) -> str:
    return "\n".join([f"The configuration of stack '{stack}' cannot be used:", *problems])


def from_pulumi() -> Settings:
    """The settings of the stack that is being run.

    Raises:
        ConfigError: As for `parse`; Pulumi shows it without a trace.
    """
    # `pulumi.Config` reads one known key at a time; to find a key that nobody knows takes all of them.
    values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secret_keys = frozenset(filter(runtime_config.is_config_secret, values)).union(
        runtime_config.get_config_secret_keys_env()
    )
    return parse(values, pulumi.get_stack(), secret_keys)
