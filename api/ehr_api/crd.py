"""Models to CustomResourceDefinitions: pydantic's JSON Schema rewritten as a structural OpenAPI v3 schema.

Kept small and ours: the libraries that convert pydantic models do not know structural schemas, CEL rules or printer columns.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions" (structural schemas).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ehr_api.meta import GROUP, VALIDATIONS, VERSION, ApiModel, Cel, KindStatus
from ehr_api.v1alpha1 import ehr_connector_config as config
from ehr_api.v1alpha1 import fhir_endpoint as endpoint
from ehr_api.v1alpha1 import integration_record as record
from ehr_api.v1alpha1 import sms_number as number

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column of `kubectl get`; `wide` ones appear with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str = ""


_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class CustomResource:
    """What the CRD of one kind is made of."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[ApiModel]
    status: type[KindStatus]
    columns: tuple[Column, ...]
    spec_rules: tuple[Cel, ...] = ()
    longest_name: int = _LONGEST_NAME
    """Shorter where other objects are named after this one."""


def _condition(name: str, type_: str, *, wide: bool = False, attribute: str = "status") -> Column:
    return Column(name, f'.status.conditions[?(@.type=="{type_}")].{attribute}', wide=wide)


_READY = _condition("Ready", "Ready")
_REASON = _condition("Reason", "Ready", attribute="reason")
_MESSAGE = _condition("Message", "Ready", attribute="message", wide=True)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")

KINDS = (
    CustomResource(
        kind="EHRConnectorConfig",
        plural="ehrconnectorconfigs",
        short_name="ehrcfg",
        description="One organisation: its EHR, its Microsoft 365 tenant, its consents and its notification settings.",
        spec=config.EHRConnectorConfigSpec,
        status=config.EHRConnectorConfigStatus,
        spec_rules=config.SPEC_RULES,
        columns=(
            _READY,
            _REASON,
            _condition("SMS", "SmsReady", attribute="reason"),
            Column("Endpoints", ".status.endpoints", "integer"),
            _AGE,
            Column("Geography", ".spec.dataGeography", wide=True),
            Column("Ready endpoints", ".status.readyEndpoints", "integer", wide=True),
            _condition("Drifted", "Drifted", wide=True),
            _condition("SMS message", "SmsReady", wide=True, attribute="message"),
            _MESSAGE,
        ),
    ),
    CustomResource(
        kind="FhirEndpoint",
        plural="fhirendpoints",
        short_name="fhir",
        description="One FHIR base URL of the organisation's EHR: validated, promoted, and handed to the connector.",
        longest_name=230,
        spec=endpoint.FhirEndpointSpec,
        status=endpoint.FhirEndpointStatus,
        spec_rules=endpoint.SPEC_RULES,
        columns=(
            _READY,
            _REASON,
            Column("Environment", ".spec.environment"),
            _condition("Validated", "Validated"),
            _AGE,
            Column("Base URL", ".spec.baseURL", wide=True),
            Column("FHIR", ".status.fhirVersion", wide=True),
            Column("Certificate expiry", ".status.certificateExpiry", wide=True),
            Column("Validated at", ".status.lastValidated", "date", wide=True),
            _MESSAGE,
        ),
    ),
    CustomResource(
        kind="SmsNumber",
        plural="smsnumbers",
        short_name="sms",
        description="One phone number of Azure Communication Services: adopted or bought exactly once, kept or released.",
        spec=number.SmsNumberSpec,
        status=number.SmsNumberStatus,
        spec_rules=number.SPEC_RULES,
        columns=(
            _READY,
            _REASON,
            Column("Phone number", ".status.phoneNumber"),
            _condition("Verified", "Verified"),
            _AGE,
            Column("Type", ".spec.numberType", wide=True),
            Column("Monthly cost", ".status.monthlyCost.amount", wide=True),
            Column("Currency", ".status.monthlyCost.currency", wide=True),
            Column("Deletion policy", ".spec.deletionPolicy", wide=True),
            Column("Next attempt", ".status.retry.nextAttemptTime", wide=True),
            _MESSAGE,
        ),
    ),
    CustomResource(
        kind="IntegrationRecord",
        plural="integrationrecords",
        short_name="irec",
        description="What the EHR admin copies into the EHR. Written by the operator alone; owned by its FhirEndpoint.",
        spec=record.IntegrationRecordSpec,
        status=record.IntegrationRecordStatus,
        columns=(
            Column("Environment", ".spec.environment"),
            Column("Kind", ".spec.kind"),
            Column("Initiated by", ".spec.initiatedBy"),
            _condition("Acknowledged", "Acknowledged"),
            Column("Launch URL", ".spec.launchURL"),
            Column("Client ID", ".spec.clientID"),
            Column("FHIR base URL", ".spec.fhirBaseURL", wide=True),
            Column("Tenant", ".spec.tenantID", wide=True),
            Column("Redirect URI", ".spec.redirectURI", wide=True),
            Column("JWKS URL", ".spec.jwksURL", wide=True),
            Column("Scopes", ".spec.scopes", wide=True),
            Column("System client ID", ".spec.systemClientID", wide=True),
            Column("System scopes", ".spec.systemScopes", wide=True),
            Column("Parameters", ".spec.parameters", wide=True),
            Column("Sender number", ".spec.senderNumber", wide=True),
            Column("Digest", ".spec.digest", wide=True),
            Column("Revision", ".status.revision", "integer", wide=True),
            Column("Last launch", ".status.lastSeenLaunch", "date", wide=True),
            _AGE,
        ),
    ),
)
"""All kinds, in the order in which the documentation presents them."""


def crd_of(resource: CustomResource) -> Schema:
    """Return the CustomResourceDefinition of one kind as a plain document."""
    spec = structural_schema(resource.spec)
    if resource.spec_rules:
        spec[VALIDATIONS] = [rule.to_api() for rule in resource.spec_rules]
    status = structural_schema(resource.status)
    too_long = Cel(
        f"size(self.metadata.name) <= {resource.longest_name}",
        f"the name must have at most {resource.longest_name} characters: other objects are named after this one",
    )
    # kstatus and Flux take an object without status for ready; -1 says that nobody has looked yet.
    status["default"] = {"observedGeneration": -1}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": "teams-ehr-connector"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short_name],
                "categories": ["ehr"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in resource.columns],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": resource.description,
                            "required": ["spec"],
                            **({VALIDATIONS: [too_long.to_api()]} if resource.longest_name < _LONGEST_NAME else {}),
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": status,
                            },
                        }
                    },
                }
            ],
        },
    }


def structural_schema(model: type[ApiModel]) -> Schema:
    """Return the structural schema of a model.

    Defaults stay only on scalars directly under the model: a default inside a list or an optional object makes Argo CD
    report a difference for ever.

    Raises:
        TypeError: The model holds something that a structural schema cannot say, such as a union of two types.
    """
    document = model.model_json_schema(by_alias=True)
    return _rewrite(document, document.get("$defs", {}), top=True)


def _column(column: Column) -> Schema:
    entry: Schema = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.wide:
        entry["priority"] = 1
    return entry


_KEPT = (
    "type", "description", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", VALIDATIONS, "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
)  # fmt: skip


def _rewrite(node: Schema, definitions: Schema, *, top: bool = False, keep_default: bool = False) -> Schema:
    node = _resolve(node, definitions)
    schema = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        schema["enum"] = [node["const"]]
    if keep_default and isinstance(node.get("default"), str | int | bool):
        schema["default"] = node["default"]
    if "properties" in node:
        schema["properties"] = {
            name: _rewrite(child, definitions, keep_default=top) for name, child in node["properties"].items()
        }
    if node.get("required"):
        schema["required"] = node["required"]
    if "items" in node:
        schema["items"] = _rewrite(node["items"], definitions)
    if "type" not in schema:
        raise TypeError(f"not a structural schema: {sorted(node)}")
    return schema


def _resolve(node: Schema, definitions: Schema) -> Schema:
    """Follow `$ref`, and fold `Optional` (anyOf with null) into its one type; what stands beside wins."""
    if "$ref" in node:
        target = _resolve(definitions[node["$ref"].rpartition("/")[2]], definitions)
        return _merge(target, {key: value for key, value in node.items() if key != "$ref"})
    if "anyOf" in node:
        branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
        if len(branches) != 1:
            raise TypeError("a union of several types cannot be said in a structural schema")
        return _merge(_resolve(branches[0], definitions), {key: value for key, value in node.items() if key != "anyOf"})
    return node


def _merge(inner: Schema, outer: Schema) -> Schema:
    merged = {**inner, **outer}
    both = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
    if both:
        merged[VALIDATIONS] = both
    return merged
