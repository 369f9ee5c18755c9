"""Does the SMART configuration promise what launches and system access need? Pure.

Source: SMART App Launch 2.2, "Conformance" (fields of `.well-known/smart-configuration`), "Client Authentication:
Asymmetric" (signature algorithms).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from ehr_api.conditions import Finding, Type, false, true
from ehr_operator.fhir_endpoint.answers import answer_problem, not_reached
from ehr_operator.fhir_endpoint.probes import Fetch, Fetched

_PATH = "/.well-known/smart-configuration"
_NEEDED = ("authorization_endpoint", "token_endpoint")
_OPENID = ("issuer", "jwks_uri")
"""Fields that the capability sso-openid-connect brings with it."""
_ADDRESSES = (
    *_NEEDED,
    *_OPENID,
    "introspection_endpoint",
    "management_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "user_access_brand_bundle",
)
_LISTS = ("capabilities", "code_challenge_methods_supported", "grant_types_supported")
_ALGORITHMS = ("ES384", "RS384")
"""With one of them the connector signs; a server lists those that it can check."""
_OFFERS = (
    ("code_challenge_methods_supported", "S256", "PkceMissing"),
    ("capabilities", "launch-ehr", "EhrLaunchMissing"),
    ("grant_types_supported", "authorization_code", "CodeGrantMissing"),
    ("grant_types_supported", "client_credentials", "SystemAccessMissing"),
    ("token_endpoint_auth_methods_supported", "private_key_jwt", "KeyAuthenticationMissing"),
)


def smart_verdict(base_url: str, seen: Fetched) -> Finding:
    """Judge the answer to `/.well-known/smart-configuration`."""
    if seen.fetch is not Fetch.ANSWERED:
        return not_reached(Type.SMART_CONFIGURED, seen)
    problem = answer_problem(seen, _PATH) or _problem(base_url, seen.document or {})
    if problem is not None:
        return false(Type.SMART_CONFIGURED, *problem)
    return true(
        Type.SMART_CONFIGURED,
        "SmartConfigurationOk",
        "EHR launch, PKCE with S256, and system access by a signed key are offered, at https addresses",
    )


def strings(value: Any) -> list[str]:
    """Return the texts in a JSON list; what is no list, or no text, is left out."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  (JSON)


def _problem(base_url: str, document: dict[str, Any]) -> tuple[str, str] | None:
    required = _NEEDED + (_OPENID if "sso-openid-connect" in strings(document.get("capabilities")) else ())
    absent = [name for name in required if not _text(document, name)]
    if absent:
        return (
            "EndpointMissing",
            f"the SMART configuration has no {', '.join(absent)}. EHR team: SMART App Launch 2.2 requires it",
        )
    insecure = [name for name in _ADDRESSES if _text(document, name) and not _is_https(base_url, _text(document, name))]
    if insecure:
        return (
            "EndpointNotHttps",
            f"in the SMART configuration {', '.join(insecure)} is no https address. EHR team: give https addresses",
        )
    absent = [name for name in _LISTS if not isinstance(document.get(name), list)]
    for name, needed, reason in _OFFERS:
        if needed not in strings(document.get(name)):
            what = f"has no list {name}" if name in absent else f"does not list {needed} in {name}"
            return reason, f"the SMART configuration {what}. EHR team: enable {needed}"
    if "plain" in strings(document.get("code_challenge_methods_supported")):
        return (
            "PlainPkceOffered",
            (
                "the SMART configuration lists plain in code_challenge_methods_supported, which SMART App Launch 2.2 forbids."
                " EHR team: offer S256 alone"
            ),
        )
    algorithms = document.get("token_endpoint_auth_signing_alg_values_supported")
    if algorithms is not None and not set(_ALGORITHMS) & set(strings(algorithms)):
        return (
            "SigningAlgorithmMissing",
            (
                f"the SMART configuration lists neither {' nor '.join(_ALGORITHMS)} in"
                " token_endpoint_auth_signing_alg_values_supported. EHR team: enable one of them"
            ),
        )
    return None


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _is_https(base_url: str, address: str) -> bool:
    """Return whether an address is https; one that is relative counts from the base URL."""
    try:
        return urljoin(f"{base_url.rstrip('/')}/", address).startswith("https://")
    except ValueError:
        return False
