"""What the server says about itself.

Source: captures of 2026-08-14 of `fhir-ehr-code.cerner.com`, in the repository api-evangelist/cerner. `create` on Appointment is
listed as Millennium lists it; this simulator does not serve it.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from ehr_sandbox.cerner.addresses import Addresses
from ehr_sandbox.cerner.scopes import SUPPORTED_SCOPES
from ehr_sandbox.cerner.searches import SEARCHES

_DESCRIPTION = "Oracle Health implementation of FHIR on top of Millennium"
_WRITES = {"Appointment": ("create", "patch")}
_DEFINITIONS = {"_id": "Resource-id", "_count": "Resource-count"}


def capability_statement(addresses: Addresses, today: date) -> dict[str, Any]:
    """Return `/metadata`."""
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{addresses.base}/metadata",
        "name": "OracleHealthCapabilityStatement",
        "title": "Oracle Health Capability Statement",
        "status": "active",
        "date": today.isoformat(),
        "publisher": "Oracle Health",
        "description": _DESCRIPTION,
        "kind": "instance",
        "instantiates": ["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"],
        "implementation": {"description": _DESCRIPTION, "url": addresses.base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": _DESCRIPTION,
                "security": _security(addresses),
                "resource": [
                    {"type": "CapabilityStatement", "interaction": [{"code": "read"}]},
                    *(_resource(kind) for kind in sorted(SEARCHES)),
                ],
            }
        ],
    }


def conformance(addresses: Addresses, today: date) -> dict[str, Any]:
    """Return `/metadata` of a DSTU2 address, which Oracle no longer supports."""
    description = "Cerner implementation of FHIR on top of Millennium"
    return {
        "resourceType": "Conformance",
        "url": f"{addresses.origin}/dstu2/{addresses.tenant}/metadata",
        "version": "1.0.2",
        "name": "Cerner Conformance Statement",
        "status": "active",
        "date": today.isoformat(),
        "publisher": "Cerner",
        "description": description,
        "kind": "instance",
        "implementation": {"description": description, "url": f"{addresses.origin}/dstu2/{addresses.tenant}"},
        "fhirVersion": "1.0.2",
        "acceptUnknown": "no",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {"type": kind, "interaction": [{"code": "read"}, {"code": "search-type"}]}
                    for kind in ("Appointment", "Location", "Patient", "Practitioner")
                ],
            }
        ],
    }


def smart_configuration(addresses: Addresses) -> dict[str, Any]:
    """Return `/.well-known/smart-configuration`."""
    return {
        "issuer": addresses.issuer,
        "authorization_endpoint": addresses.authorize,
        "token_endpoint": addresses.token,
        "revocation_endpoint": addresses.revoke,
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "jwks_uri": addresses.jwks,
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "scopes_supported": SUPPORTED_SCOPES,
        "response_types_supported": ["code"],
        "management_endpoint": addresses.manage,
        "introspection_endpoint": addresses.introspect,
        "capabilities": [
            "authorize-post",
            "launch-ehr",
            "launch-standalone",
            "client-public",
            "client-confidential-asymmetric",
            "client-confidential-symmetric",
            "sso-openid-connect",
            "context-banner",
            "context-style",
            "context-ehr-patient",
            "context-ehr-encounter",
            "permission-patient",
            "permission-user",
            "permission-offline",
            "permission-online",
            "permission-v1",
            "permission-v2",
            "health-cards",
        ],
        "code_challenge_methods_supported": ["S256"],
    }


def _security(addresses: Addresses) -> dict[str, Any]:
    uris = {
        "token": addresses.token,
        "revoke": addresses.revoke,
        "authorize": addresses.authorize,
        "manage": addresses.manage,
        "introspect": addresses.introspect,
    }
    return {
        "extension": [
            {
                "extension": [{"valueUri": uri, "url": name} for name, uri in uris.items()],
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
            }
        ],
        "cors": True,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                    }
                ],
                "text": "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org/).",
            }
        ],
        "description": "OAuth2 plus SMART extensions",
    }


def _resource(kind: str) -> dict[str, Any]:
    parameters = {name: type_ for name, type_ in SEARCHES[kind].parameters.items() if ":" not in name}
    return {
        "type": kind,
        "interaction": [{"code": code} for code in ("read", "search-type", *_WRITES.get(kind, ()))],
        "searchParam": [_parameter(kind, name, type_) for name, type_ in parameters.items()],
    }


def _parameter(kind: str, name: str, type_: str) -> dict[str, str]:
    described = {"name": name, "type": type_}
    if not name.startswith("-"):  # Millennium's own parameters have no definition
        described["definition"] = f"http://hl7.org/fhir/R4/SearchParameter/{_DEFINITIONS.get(name, f'{kind}-{name}')}"
    return described
