"""What every kind shares: the naming rule, conditions, references and the formats of strings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

GROUP = "ehrconnector.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_ACRONYMS = {
    "id": "ID",
    "ids": "IDs",
    "uid": "UID",
    "url": "URL",
    "uri": "URI",
    "jwks": "JWKS",
    "fhir": "FHIR",
    "sms": "SMS",
}


def api_name(snake_case: str) -> str:
    """Return the field name as the Kubernetes API conventions write it: lower camel case, an acronym in one case.

    `base_url` becomes `baseURL`, `jwks_url` stays lower case in front and becomes `jwksURL`.
    """
    first, *rest = snake_case.split("_")
    return first + "".join(_ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in rest)


class ApiModel(BaseModel):
    """Base of everything that is written in YAML or JSON between the parts.

    Unknown fields are ignored on reading: the API server refuses them at apply (strict field validation), and an older
    operator must be able to read what a newer CRD allowed.
    """

    model_config = ConfigDict(alias_generator=api_name, populate_by_name=True, extra="ignore", frozen=True)

    def to_api(self) -> dict[str, Any]:
        """Return the JSON form: API names, no absent fields, times in RFC 3339."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Cel:
    """One rule in Common Expression Language, checked by the API server at apply."""

    rule: str
    message: str
    field_path: str | None = None

    def to_api(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.rule, "message": self.message}
        return entry | {"fieldPath": self.field_path} if self.field_path else entry


@dataclass(frozen=True, slots=True)
class Rules:
    """Annotation of a field's type that carries CEL rules into the CRD; several on one field add up."""

    entries: tuple[Cel, ...]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add the rules to the JSON Schema of the annotated type."""
        schema = dict(handler(core_schema))
        return schema | {VALIDATIONS: [*schema.get(VALIDATIONS, []), *(entry.to_api() for entry in self.entries)]}


def rules(*entries: Cel) -> Rules:
    """Return the annotation that carries these CEL rules."""
    return Rules(entries)


def immutable(way_out: str) -> Rules:
    """Return the annotation of a field that never changes; `way_out` tells the author what to do instead."""
    return rules(Cel("self == oldSelf", f"is immutable: {way_out}"))


Time = Annotated[datetime, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment, RFC 3339 with zone."""

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of a Kubernetes object (RFC 1123 subdomain)."""

Guid = Annotated[
    str,
    Field(
        max_length=36,
    ),
    AfterValidator(str.lower),
    rules(
        Cel(
            "self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')",
            "must be an Entra identifier such as 11111111-2222-3333-4444-555555555555",
        )
    ),
]
"""An identifier of Microsoft Entra ID, read in lower case: Entra takes any and answers so, and answers are compared with it."""

E164 = Annotated[
    str,
    Field(
        max_length=16,
    ),
    rules(
        Cel(
            "self.matches('^[+][1-9][0-9]{7,14}$')",
            "must be a phone number in E.164: a plus sign, the country code and the number without spaces,"
            " for example +18005550100",
        )
    ),
]
"""A phone number with plus sign and country code (ITU-T E.164)."""

Duration = Annotated[
    str,
    Field(
        max_length=32,
    ),
    rules(
        Cel(
            "self.matches('^([0-9]+(h|m|s|ms))+$')",
            "must be a positive duration in hours, minutes, seconds or milliseconds, for example 24h, 1h30m or 45s",
        )
    ),
]
"""A length of time as Go and Kubernetes write it, never negative: `24h`, `1h30m`, `500ms`."""

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_START = "^[a-z]+://([^@/]*@)?"
_NAME = f"({_LABEL}[.])*[a-z]([-a-z0-9]{{0,61}}[a-z0-9])?"
_IPV4 = f"({_OCTET}[.]){{3}}{_OCTET}"
_IPV6 = r"[\\[][0-9a-f:.]+[\\]]"
"""A host by RFC 1123 in lower case, so that one host has one form, or an address, and then nothing but ASCII without blanks (RFC 3986)."""

_HTTPS = (
    Cel("self.startsWith('https://')", "must start with https://: credentials and patient data travel to this address"),
    Cel(
        # A host that ends like an IPv4 address must be one: some programs read 0177.0.0.1 as 127.0.0.1.
        f"isURL(self) && self.matches('{_START}({_NAME}|{_IPV4}|{_IPV6})(:{_PORT})?([/?#][!-~]*)?$')",
        "must be an absolute URL with its host in lower case, for example https://host.example/path",
    ),
    Cel("!self.endsWith('/')", "must not end with a slash: remove it, so that one address has one form"),
    Cel("!self.contains('@')", "must not contain user information (user:password@): credentials never stand in a URL"),
    Cel("!self.contains('?')", "must not contain a query (?...): remove everything from the question mark on"),
    Cel("!self.contains('#')", "must not contain a fragment (#...): remove everything from the number sign on"),
)

HttpsUrl = Annotated[str, Field(min_length=9, max_length=512), rules(*_HTTPS)]
"""An absolute https URL without user information, query or fragment."""

HttpsOrigin = Annotated[
    str,
    Field(
        max_length=256,
    ),
    rules(
        Cel(
            "self.matches('^https://([*][.])?[a-zA-Z0-9.-]+(:[0-9]+)?$')",
            "must be an origin: https://host or https://host:port, without a path; *.host stands for its subdomains",
        )
    ),
]
"""A web origin as Content-Security-Policy `frame-ancestors` takes it."""


class ObjectReference(ApiModel):
    """Another object in the same namespace. References never cross namespaces: a namespace is one organisation."""

    name: Name = Field(description="Name of the object in this namespace.")


class SecretKeyReference(ApiModel):
    """One key of a Secret in the same namespace."""

    name: Name = Field(description="Name of the Secret in this namespace.")
    key: str = Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$", description="Key in the Secret.")


class ConditionStatus(StrEnum):
    """Three-valued: Unknown says that nobody has looked yet, or that the last look gave no answer."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One observation about an object, as `metav1.Condition` defines it.

    Source: Kubernetes API conventions, "Typical status properties".
    """

    type: str = Field(max_length=316, description="What is observed, in CamelCase.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the spec this is about.")
    last_transition_time: Time = Field(description="When `status` last changed.")
    reason: str = Field(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                        description="Machine-readable cause in CamelCase; the reference documents each.")  # fmt: skip
    message: str = Field(max_length=32768, description="What is wrong, who must act, and how to mend it.")


class Retry(ApiModel):
    """Back-off after failures. It is kept here so that a restart does not try everything at once."""

    failures: int = Field(ge=0, description="Failed attempts in a row.")
    next_attempt_time: Time | None = Field(default=None, description="Not tried again before this time.")


class KindStatus(ApiModel):
    """What the status of every kind holds. Only the operator writes it; if it is lost, it is observed again."""

    observed_generation: int = Field(
        default=-1, description="Generation of the spec that this status is about; -1 until the operator has looked."
    )
    conditions: list[Condition] = Field(
        default_factory=list[Condition],
        max_length=32,
        description="Observations, one for each type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    last_handled_reconcile_at: str | None = Field(
        default=None,
        max_length=256,
        description="Value of the annotation ehrconnector.io/requestedAt that was answered last.",
    )
    retry: Retry | None = Field(default=None, description="Back-off, present while the last attempt failed.")


REQUESTED_AT = f"{GROUP}/requestedAt"
"""Annotation: a new value asks for a reconcile now; `status.lastHandledReconcileAt` answers with the same value."""
FORCE_PROMOTION = f"{GROUP}/force-promotion"
"""Annotation on a Production FhirEndpoint: promotes it without evidence. Its value is the reason, kept in an Event."""
ACKNOWLEDGED_DIGEST = f"{GROUP}/acknowledged-digest"
"""Annotation on an IntegrationRecord: the digest that somebody states to have copied into the EHR."""
ACKNOWLEDGED_BY = f"{GROUP}/acknowledged-by"
"""Annotation beside it: who states that. An admission policy lets everybody write the own name alone."""
